"""What errors and alarms say of the case at hand, in Chinese: ledger and node word it in English, with values in it.

``DETAILS`` has their sentences with ``{names}`` for the values; whatever is not here is shown as it was worded.
``FOREIGN`` has what the system says in the place of such a value. Tests hold the sentences against the source.
"""

MESSAGES: dict[str, str] = {}

DETAILS = {
    # Signatures, quorums, the network document.
    "the checkpoint has {count} of the {needed} cosignatures by members that it needs": (
        "检查点须有 {needed} 个成员共同签名，现有 {count} 个"
    ),
    "version {version} has {count} of the {needed} signatures that it needs by governors of version {judge}": (
        "第 {version} 版须有 {needed} 个签名（按第 {judge} 版的治理方），现有 {count} 个"
    ),
    "none of {count} signatures is by a key that is known here": "{count} 个签名均非已知密钥所签",
    "the key did not sign this text": "该密钥没有签过此文本",
    "{name} does not govern this network": "{name} 不是本网络的治理方",
    "the signature of {entry} is false": "{entry} 的签名不实",
    "{entry} is signed by key {key}, which had ended": "{entry} 由已终止的密钥 {key} 签名",
    "{entry} is signed by key {key}, not by {other}": "{entry} 由密钥 {key} 签名，而非 {other}",
    "{log} has not signed this checkpoint": "{log} 没有签署此检查点",
    "{place} does not follow the entry before it: another hash": "{place} 与前一条账目不衔接：哈希不同",
    "the document's fingerprint is {found}, pinned is {pinned}": "文件的指纹是 {found}，固定的是 {pinned}",
    "a fingerprint has 64 hexadecimal digits": "指纹为 64 位十六进制数字",
    "the file does not begin with {start}": "文件不以 {start} 开头",
    "version {after} does not follow version {before}": "第 {after} 版不接续第 {before} 版",
    "the hash of the previous version is another": "前一版本的哈希不同",
    "{log} is no log of network {name} version {version}": "网络 {name} 第 {version} 版中没有账本 {log}",
    "no key of {log} is valid at index {index}": "{log} 没有在第 {index} 条处有效的密钥",
    "more governors must sign than there are": "须签署的治理方多于现有的治理方",
    "the {what} {value} is there twice": "{what} {value} 重复",
    "the proof carries another entry": "证明附带的是另一条账目",
    "the proof does not carry its entry": "证明未附带账目",
    "signature line {number} is by nobody who governs this network, or by somebody who has signed above": (
        "第 {number} 行签名不是本网络治理方所签，或签署者在上文已签"
    ),
    "two documents are signed as version {version} of network {name}": (
        "网络 {name} 的第 {version} 版有两份不同的签署文件"
    ),
    "network {name} has no member {origin}": "网络 {name} 中没有成员 {origin}",
    "the document ends at version {given} and does not continue this node's version {have}": (
        "文件止于第 {given} 版，不接续本节点的第 {have} 版"
    ),
    # Files, settings, keys, the store.
    "there is no store in {path}": "{path} 中没有存储",
    "{folder} is open in {holder}": "{folder} 已被打开：{holder}",
    "process {number}": "进程 {number}",
    "{host}, port {port}: another process listens there": "{host} 端口 {port}：已有其他进程在监听",
    "cannot be read: {error}": "无法读取：{error}",
    "cannot be written: {error}": "无法写入：{error}",
    "not TOML: {error}": "不是 TOML：{error}",
    "this is no configuration": "这不是配置文件",
    "no network is joined yet: the fingerprint is not set": "尚未加入网络：没有设置指纹",
    "without TLS a node listens on loopback only: set tls_certificate and tls_key, or host to 127.0.0.1": (
        "没有 TLS 时节点只在本机监听：请设置 tls_certificate 和 tls_key，或把 host 设为 127.0.0.1"
    ),
    "the network document names another {role} key for {log}": "网络文件为 {log} 写明的是另一个 {role} 密钥",
    "others may read this file": "他人可以读取此文件",
    "without a scheme it is no place for a key (known: {known})": "没有写明方式，不能用来指明密钥（已知：{known}）",
    "{scheme}: is no place for a key (known: {known})": "{scheme}: 不是存放密钥的方式（已知：{known}）",
    "this is no key file": "这不是密钥文件",
    "the key file is closed with a passphrase": "密钥文件已用口令加密",
    "the passphrase does not open this file, or it is damaged": "口令打不开此文件，或文件已损坏",
    "there is a node in this folder already": "此文件夹中已有节点",
    "there is a store already; nothing was changed": "已有存储；未作任何改动",
    "this node has joined another network already": "本节点已加入另一个网络",
    "there is no token of this name": "没有这个名称的令牌",
    "the token {name} is there already": "令牌 {name} 已存在",
    "the certificate {certificate} or its key {key} cannot be used: {error}": (
        "证书 {certificate} 或其密钥 {key} 不可用：{error}"
    ),
    "it is a draft that nobody has signed": "这是尚无人签署的草案",
    "there is no such setting": "没有这个设置",
    "no handshake is possible: {error}": "无法握手：{error}",
    "no certificates can be read: {error}": "无法读取证书：{error}",
    "the head file is damaged: {error}": "头文件已损坏：{error}",
    "the head file is that of {log}": "头文件属于 {log}",
    # What a node answers.
    "this takes a token": "需要令牌",
    "no such token is known here": "本节点不认识此令牌",
    "the token {name} has expired": "令牌 {name} 已失效",
    "this takes the role {role}, which the token {name} does not have": "需要角色 {role}，而令牌 {name} 没有",
    "a token is sy_ and 32 bytes in base64url": "令牌由 sy_ 和 32 字节的 base64url 组成",
    "{url} did not answer: {error}": "{url} 无应答：{error}",
    "{log} is too slow: {error}": "{log} 过慢：{error}",
    "no whole answer in time ({kind})": "未在时限内给出完整应答（{kind}）",
    "the peer asks to come again later": "对方请稍后再来",
    "the answer is malformed: {error}": "应答格式不符：{error}",
    "the answer is not JSON": "应答不是 JSON",
    "this node's own log is in doubt: {error}": "本节点自己的账本存疑：{error}",
    "this node's log is being opened": "正在启用本节点的账本",
    "this node is finding out what it has signed before: it needs the answers of {needed} members, and has {count}": (
        "本节点正在查明自己以前签过什么：须 {needed} 个成员应答，已有 {count} 个"
    ),
    "this node's own log is not restored yet: {error}": "本节点自己的账本尚未恢复：{error}",
    "{log} is {status} in version {version} of the network document": (
        "{log} 在网络文件第 {version} 版中的状态为 {status}"
    ),
    "this log has announced another key from entry {start} on, and the network document does not name it yet": (
        "本账本已公告自第 {start} 条起使用另一个密钥，而网络文件尚未写明"
    ),
    "the network document gives the log no key from entry {index} on": "网络文件没有给账本第 {index} 条起的密钥",
    "the network document gives the log a key from entry {index} on that is not here: {key}": (
        "网络文件给账本第 {index} 条起的密钥不在本机：{key}"
    ),
    "the log key {key} is not here": "账本密钥 {key} 不在本机",
    "this node's log does not have the history yet that the governors have ruled": (
        "本节点的账本尚未取得治理方所裁定的历史"
    ),
    "this node does not have that {role} key": "本节点没有这个 {role} 密钥",
    "the network document names that key already": "网络文件已写明该密钥",
    "{consumer} is no active member of the network": "{consumer} 不是网络的有效成员",
    "a department does not share with itself": "部门不向自己共享",
    "{share} is no share that is known here": "本节点没有共享 {share}",
    "{share} went to {consumer}": "{share} 是发给 {consumer} 的",
    "{share} is answered already": "{share} 已答复过",
    "the share states another digest of its payload": "共享所载的数据摘要不同",
    "the id {id} is recorded with other content": "编号 {id} 已登记，内容不同",
    "{log} has {size} entries here, none with index {index}": "{log} 在此有 {size} 条账目，没有第 {index} 条",
    "{entry} is not confirmed yet": "{entry} 尚未确认",
    "no share that is known here names this record": "本节点没有提及此记录的共享",
    "no log {log} is known here": "本节点没有账本 {log}",
    "no event {id} is known here": "本节点没有事件 {id}",
    "the node keeps no such proof": "节点没有这份证明",
    "the write failed: {error}": "写入失败：{error}",
    "nothing is written any more: {error}": "不再写入：{error}",
    "nothing new is taken of this log: {error}": "不再接收此账本的新内容：{error}",
    "this member is required": "缺少必需的成员项",
    "there is no member of this name": "没有这个名称的成员项",
    "expected a string": "应为字符串",
    # Integrity alarms.
    "{log} has signed two roots for size {size}": "{log} 为同一长度 {size} 签了两个根",
    "{log} has signed a root for size {size} that its checkpoint of size {other} contradicts": (
        "{log} 为长度 {size} 所签的根与其长度 {other} 的检查点相矛盾"
    ),
    "{log} has signed two entries with index {index}": "{log} 签了两条编号同为 {index} 的账目",
    "{log} has signed an entry {index} that follows another entry {before}": (
        "{log} 所签的账目 {index} 接续的是另一条账目 {before}"
    ),
    "{log} has signed a root for size {size} to which its own entries do not hash": (
        "{log} 为长度 {size} 所签的根与其自己的账目不符"
    ),
    "{log} has signed a root for size {size} to which its entries do not hash": (
        "{log} 为长度 {size} 所签的根与其账目不符"
    ),
    "{log} has signed a checkpoint against its own history; it is kept": ("{log} 签了与自身历史相矛盾的检查点；已留存"),
    "the entries of {log} from {start} on are signed by key {key}, which had ended there": (
        "{log} 自第 {start} 条起的账目由已在该处终止的密钥 {key} 签名"
    ),
    "the ruling about {log} at size {size} contradicts what is confirmed here, {confirmed} entries; these stay, and "
    "nothing new is taken: the governors must rule again, on a history that has them": (
        "关于 {log} 在长度 {size} 处的裁定与本机已确认的 {confirmed} 条账目相矛盾；这些账目保留，不再接收新内容："
        "治理方须就含有这些账目的历史重新裁定"
    ),
    "those who answer give other histories of {log} than the governors have ruled up to size {size}: look for a member "
    "that has that one; if there is none, the governors must rule again": (
        "有应答的节点所给 {log} 的历史，均非治理方所裁定的至长度 {size} 的历史：请寻找持有该历史的成员；"
        "若无，治理方须重新裁定"
    ),
    "peers hold {there} entries of this node's own log, it has {here}": (
        "其他节点持有本节点账本的 {there} 条账目，本机只有 {here} 条"
    ),
    "this node has signed {there} entries of its own log, and has {here}": (
        "本节点已为自己的账本签到 {there} 条，本机只有 {here} 条"
    ),
    "{peer} holds a checkpoint of {there} entries that this node has signed, which has {here}": (
        "{peer} 持有本节点所签的 {there} 条账目的检查点，本机只有 {here} 条"
    ),
    "the entries {start} to {end} on the disk are not those that were recorded": (
        "磁盘上第 {start} 至 {end} 条账目不是当初登记的内容"
    ),
    "the entries from {start} on are damaged: {error}": "自第 {start} 条起的账目已损坏：{error}",
    "the store holds another history than the checkpoint of size {size}": "存储中的历史与长度 {size} 的检查点不同",
    # Gaps of a history.
    "{entry} answers {share}, which is not here": "{entry} 答复 {share}，而后者不在此",
    "{entry} answers {share}, which was not for its log": "{entry} 答复 {share}，而后者不是发给其账本的",
    "{entry} answers {share} once more": "{entry} 再次答复 {share}",
    "{log} has not answered {share}": "{log} 尚未答复 {share}",
    "{log} has received another digest than {share} states": "{log} 收到的摘要与 {share} 所载不同",
    "{entry} names {parent} as its source, which is no share that is here": (
        "{entry} 所写来源 {parent} 不是此处已有的共享"
    ),
    "{entry} names {parent}, which went to {log}": "{entry} 所写来源 {parent} 是发给 {log} 的",
    "{entry} passes on {parent}, which was rejected": "{entry} 转交的 {parent} 已被拒收",
    "nothing says where {log} had the record of {entry} from": "没有说明 {log} 从何处得到 {entry} 的记录",
    "{entry} passes on a received record without naming its source": "{entry} 转交所收记录而未写明来源",
}

FOREIGN = {
    "[Errno 111] Connection refused": "连接被拒绝",
    "All connection attempts failed": "无法连接",
    "timed out": "超时",
    "No such file or directory": "文件不存在",
    "Permission denied": "没有权限",
    "No space left on device": "磁盘已满",
    "nobody answers": "无人应答",
    "suspended": "暂停",
    "ended": "终止",
    "the node is stopping": "节点正在停止",
}
