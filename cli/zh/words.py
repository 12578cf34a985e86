"""Screens in Chinese: headings, verdicts, notes."""

MESSAGES = {
    "error:": "错误：",
    "hint:": "提示：",
    "interrupted": "已中断",
    "standard output is closed": "标准输出已关闭",
    "standard output cannot be written: {problem}": "标准输出无法写入：{problem}",
    "an unexpected fault of this software: {kind}: {detail}": "软件自身的意外故障：{kind}：{detail}",
    "please report it, with what the same command prints with --debug and with suyuan --version": (
        "请报告此故障，并附上同一命令加 --debug 的输出和 suyuan --version 的输出"
    ),
    "did you mean {names}?": "您是否想用 {names}？",
    "{command} --help says how": "用法见 {command} --help",
    "{name} takes a value": "{name} 须给出值",
    "there are arguments too many: {arguments}": "参数过多：{arguments}",
    "{value} is not one of {choices}": "{value} 不在 {choices} 之中",
    "{path} does not exist": "{path} 不存在",
    "{path} is a folder, not a file": "{path} 是文件夹，不是文件",
    "{path} is a file, not a folder": "{path} 是文件，不是文件夹",
    "{value} is no UUID": "{value} 不是 UUID",
    "{value} is no number": "{value} 不是数字",
    "{value} is not in the range {range}": "{value} 不在 {range} 范围内",
    "there is no option {name}": "没有选项 {name}",
    "there is no command {name}": "没有命令 {name}",
    "{name} is missing": "缺少 {name}",
    "{path} cannot be read: {problem}": "无法读取 {path}：{problem}",
    "{path} cannot be written: {problem}": "无法写入 {path}：{problem}",
    "{path} is larger than {limit} bytes": "{path} 超过 {limit} 字节",
    "{path} is not UTF-8: byte {offset}": "{path} 不是 UTF-8：第 {offset} 字节",
    "{path} is there already; it is not replaced": "{path} 已存在，不予覆盖",
    "{path} holds no certificates: {problem}": "{path} 中没有证书：{problem}",
    "{value} is no entry: write it as police.ordos.example/log#42": (
        "{value} 不是账目：请写作 police.ordos.example/log#42"
    ),
    "{value} is no record reference: it has 32 hexadecimal digits; suyuan ref makes them": (
        "{value} 不是记录标识：应为 32 位十六进制数，由 suyuan ref 生成"
    ),
    "a fingerprint has 64 hexadecimal digits": "指纹为 64 位十六进制数",
    "which node? Give --url, or --config with the node's folder": (
        "哪个节点？请给出 --url，或用 --config 给出节点文件夹"
    ),
    "a token is not sent unencrypted to another machine: use https": "不向其他机器明文发送令牌：请使用 https",
    "verified against which network? Give --fingerprint, or --config with a node that has joined one": (
        "按哪个网络核验？请给出 --fingerprint，或用 --config 给出已加入网络的节点"
    ),
    "--network and --fingerprint belong together": "--network 与 --fingerprint 须同时给出",
    "make the node first, then join the network: --network goes with --fingerprint alone": (
        "先建立节点，再加入网络：--network 只与 --fingerprint 同用"
    ),
    "The node of {origin} is made in {folder}; its keys never leave that folder: back them up.": (
        "{origin} 的节点已建在 {folder}；密钥不离开该文件夹，请做好备份。"
    ),
    "Next: give {path} to the governors of the network (suyuan network add-member),": (
        "下一步：把 {path} 交给网络的治理方（suyuan network add-member），"
    ),
    "then join with the document that they sign: suyuan init {folder} --network FILE --fingerprint HEX": (
        "再凭其签署的文件加入：suyuan init {folder} --network FILE --fingerprint HEX"
    ),
    "{origin} has joined the network with fingerprint {fingerprint}.": "{origin} 已加入指纹为 {fingerprint} 的网络。",
    "Next: start the node with suyuan run --config {folder}": "下一步：用 suyuan run --config {folder} 启动节点",
    "--rebuild goes with --store alone: keys and settings stay as they are": (
        "--rebuild 只与 --store 同用：密钥和设置保持不变"
    ),
    "{origin} has an empty store; its keys and settings are as they were.": (
        "{origin} 已有空的存储；密钥和设置保持不变。"
    ),
    "Next: suyuan run --config {folder}; the node writes again when its peers have given back its log": (
        "下一步：suyuan run --config {folder}；其他成员交还其账本后，节点会恢复写入"
    ),
    "and let a program use it: suyuan token new NAME --role submit --config {folder}": (
        "并让程序使用它：suyuan token new NAME --role submit --config {folder}"
    ),
    "a network has at least one governor: --governor-key or --governor": (
        "网络至少有一个治理方：--governor-key 或 --governor"
    ),
    "Next: suyuan network add-member {draft} MEMBER.json…, then suyuan network sign {draft} --key FILE": (
        "下一步：suyuan network add-member {draft} MEMBER.json…，然后 suyuan network sign {draft} --key FILE"
    ),
    "{path}: a new secret key of {name}": "{path}：{name} 的新私钥",
    "Version {version} has {count} member.": "第 {version} 版有 {count} 个成员。",
    "Next: the governors sign it: suyuan network sign {draft} --key FILE --out NETWORK": (
        "下一步：由治理方签署：suyuan network sign {draft} --key FILE --out NETWORK"
    ),
    "{path} does not exist: version {version} goes behind the signed versions; give their file with --out": (
        "{path} 不存在：第 {version} 版须接在已签署的各版之后；请用 --out 给出其文件"
    ),
    "{path} is a new file, with version {version} of network {name}.": (
        "{path} 是新文件，内有网络 {name} 的第 {version} 版。"
    ),
    "Version {version} of network {name} stands in {path}, behind the ones before it.": (
        "网络 {name} 的第 {version} 版已写入 {path}，接在此前各版之后。"
    ),
    "Version {version} of network {name} had this signature already; {path} stays as it is.": (
        "网络 {name} 的第 {version} 版已有此签名；{path} 保持不变。"
    ),
    "The signature is added to version {version} of network {name} in {path}.": (
        "签名已加入 {path} 中网络 {name} 的第 {version} 版。"
    ),
    "Signed by {count} of the governors of version {version}, {needed} are needed: {names}": (
        "按第 {version} 版的治理方，须 {needed} 个签名，已有 {count} 个：{names}"
    ),
    "Next: another governor signs: suyuan network sign {draft} --key FILE --out {path}": (
        "下一步：由另一治理方签署：suyuan network sign {draft} --key FILE --out {path}"
    ),
    "The line above is the network's fingerprint; every member pins it: suyuan init DIR --network FILE "
    "--fingerprint HEX": ("上一行是网络指纹，各成员须固定它：suyuan init DIR --network FILE --fingerprint HEX"),
    "version {version} does not follow the last one of the signed versions; give their file with --out": (
        "第 {version} 版不接续已签署的最后一版；请用 --out 给出已签署版本的文件"
    ),
    "This is what the file says; suyuan network verify FILE --fingerprint HEX checks who has signed it.": (
        "以上为文件所述；由谁签署请用 suyuan network verify FILE --fingerprint HEX 核验。"
    ),
    "Network {name}": "网络 {name}",
    "Version": "版本",
    "Fingerprint": "指纹",
    "Rules": "规则",
    "Readers": "可读者",
    "Quorum": "法定数量",
    "Governors": "治理方",
    "Signed by": "签署者",
    "anyone": "任何人",
    "members only": "仅成员",
    "nobody yet: a draft": "尚无，为草稿",
    "{needed} of {voters} members must cosign; {faults} may fail or lie": (
        "{voters} 个成员中须有 {needed} 个共同签名；允许 {faults} 个失效或作假"
    ),
    "{threshold} of {count} must sign a version: {names}": "{count} 个中须有 {threshold} 个签署：{names}",
    "{count} member": "{count} 个成员",
    "Member": "成员",
    "Roles": "角色",
    "Status": "状态",
    "Address": "地址",
    "Name": "名称",
    "Log": "账本",
    "There are no tokens; suyuan token new makes one.": "没有令牌；可用 suyuan token new 生成。",
    "Made (UTC)": "生成时间（UTC）",
    "Ends (UTC)": "失效时间（UTC）",
    "never": "从不",
    "{time}, expired": "{time}，已失效",
    "This is the only time that the token {name} is shown; give it to the program with SUYUAN_TOKEN or a file.": (
        "令牌 {name} 只显示这一次；请用 SUYUAN_TOKEN 或文件交给程序。"
    ),
    "The token {name} is revoked.": "令牌 {name} 已撤销。",
    "give one identifier, or --file": "请给出一个标识，或用 --file",
    "--from-json says everything itself: leave the other options out": "--from-json 已包含全部内容：请去掉其他选项",
    "nobody knows whether it was recorded; the same command with --id {id} finds out, and records it once at most": (
        "无法得知是否已登记；加上 --id {id} 再次执行即可查明，且至多登记一次"
    ),
    "reading {file}": "读取 {file}",
    "the payload's digest is {found}, not {said}": "数据的摘要是 {found}，不是 {said}",
    "the payload has {found} bytes, not {said}": "数据有 {found} 字节，不是 {said}",
    "{label} is no label: write it as name=value": "{label} 不是标签：请写作 名称=值",
    "the label {name} is there twice": "标签 {name} 重复",
    "{entry} is no share: only shares are answered": "{entry} 不是共享：只能答复共享",
    "{entry} names no manifest: leave --records-file out": "{entry} 未引用清单：请去掉 --records-file",
    "Recorded and durable here; a quorum of members has not answered yet. It will be confirmed by itself.": (
        "已在本机登记并落盘；法定数量的成员尚未应答，之后会自动确认。"
    ),
    "recorded": "已登记",
    "confirmed": "已确认",
    "give the record's reference, or --id with its identifier": "请给出记录标识，或用 --id 给出原始标识",
    "--id takes the department's own key: give --config": "--id 需要本部门的密钥：请给出 --config",
    "verifying": "正在核验",
    "{count} entry is signed, but not confirmed yet by a quorum: that it stays is the node's word.": (
        "{count} 条账目已签名，但尚未得到法定数量的确认：其能否保留只凭节点所述。"
    ),
    "That nothing else belongs to the history is the node's word too.": "历史中没有遗漏，也只凭节点所述。",
    "Verified here against the network's fingerprint. Only that the node has left nothing out rests on its word.": (
        "已在本机按网络指纹核验。只有“没有遗漏”一点凭节点所述。"
    ),
    "The evidence is in {path}; suyuan verify judges it offline.": "证据在 {path}；可用 suyuan verify 离线核验。",
    "try again later: the members confirm by themselves": "请稍后再试：成员会自动确认",
    "Record {record}": "记录 {record}",
    "{count} transfer": "{count} 次流转",
    "{count} holder": "{count} 个持有者",
    "{count} gap": "{count} 处缺口",
    "no gaps": "没有缺口",
    "{count} row": "{count} 行",
    "logs": "账本",
    "when": "时间",
    "what": "内容",
    "purpose": "用途",
    "basis": "依据",
    "share": "共享",
    "receipt": "接收",
    "sources": "来源",
    "grant {grant}": "授权 {grant}",
    "made from this record": "由该记录加工而成",
    "none yet": "尚无",
    "accepted": "已接收",
    "rejected": "已拒收",
    "Who holds it": "现由谁持有",
    "Gaps": "缺口",
    "What it rests on": "依据的检查点",
    "The history is longer than what is shown.": "历史比所显示的更长。",
    "where it comes from": "来源部门",
    "received it": "已接收",
    "was sent it, has not answered": "已发送，尚未答复",
    "{how}, since {time} UTC": "{how}，自 {time} UTC",
    "{time} UTC": "{time} UTC",
    "verified: signed, in the log of size {size}, cosigned by a quorum": (
        "已核验：已签名，在长度为 {size} 的账本中，已获法定数量共同签名"
    ),
    "verified: signed, in the log, cosigned by a quorum": "已核验：已签名，在账本中，已获法定数量共同签名",
    "signed; not confirmed yet by a quorum": "已签名；尚未获法定数量确认",
    "NOT verified: {problem}": "核验不通过：{problem}",
    "checkpoint of size {size}, cosigned by {count} ({needed} needed): {cosigners}": (
        "长度 {size} 的检查点，{count} 个成员共同签名（须 {needed} 个）：{cosigners}"
    ),
    "no confirmed checkpoint yet": "尚无已确认的检查点",
    "the node says: {words}": "节点称：{words}",
    "verification": "核验",
    ", ": "、",
    "As it was signed": "签名原文",
    "type": "类型",
    "from": "提供方",
    "to": "使用方",
    "… and {count} more": "……另有 {count} 项",
    "the log was opened": "账本启用",
    "data was shared": "数据已共享",
    "a share was answered": "已答复共享",
    "bytes": "字节数",
    "calls": "调用次数",
    "case": "案件",
    "fields": "字段",
    "grant": "授权",
    "event id": "事件编号",
    "labels": "标签",
    "manifest": "清单",
    "way": "方式",
    "what left": "提供的内容",
    "network": "网络",
    "network version": "网络版本",
    "operator": "经办人",
    "answer": "答复",
    "payload": "数据摘要",
    "reason": "理由",
    "records": "记录",
    "resource": "数据资源",
    "resource version": "资源版本",
    "rows": "行数",
    "software": "软件",
    "system": "系统",
    "api": "接口",
    "database": "数据库",
    "file": "文件",
    "message": "消息",
    "manual": "人工",
    "copy": "副本",
    "query": "查询",
    "verify": "核验",
    "compute": "计算",
    "department": "部门",
    "authority": "主管部门",
    "auditor": "审计",
    "external": "外部机构",
    "active": "有效",
    "suspended": "暂停",
    "ended": "终止",
    "Verified here: {words}.": "已在本机核验：{words}。",
    "Not verified here: without --fingerprint or --config nobody can say what it is worth.": (
        "未在本机核验：没有 --fingerprint 或 --config，无从判断其价值。"
    ),
    "The proof is in {path}; suyuan verify judges it offline.": "证明在 {path}；可用 suyuan verify 离线核验。",
    "VERIFIED": "核验通过",
    "NOT VERIFIED": "核验不通过",
    "Taken for": "视为",
    "Wrong": "问题",
    "Where": "位置",
    "Next": "下一步",
    "Time": "时间",
    "Event": "事件",
    "Cosigned by": "共同签名",
    "a file of no kind that is known here": "未知种类的文件",
    "the proof that a log has told two stories": "账本说法不一的证明",
    "{log} has told two stories": "{log} 说法不一",
    "PROVEN: {log} has told two stories": "已证实：{log} 说法不一",
    "File": "文件",
    "One story": "一种说法",
    "Another story": "另一种说法",
    "They part": "分歧",
    "its checkpoint of size {size} with root {root}": "其长度为 {size} 的检查点，根为 {root}",
    "its entries up to size {size}, which hash to the root {root}": "其截至长度 {size} 的账目，计算所得的根为 {root}",
    "its entry {entry} with hash {hash}": "其账目 {entry}，哈希为 {hash}",
    "before the first entry: the empty log has one root only": "在第一条账目之前：空账本只有一个根",
    "at entry {last} or before; which entry is the first that differs is not shown here": (
        "不晚于账目 {last}；最早从哪一条起不同，此文件未显示"
    ),
    "from entry 0 on": "自账目 0 起",
    "from entry {index} on; all entries before it are the same": "自账目 {index} 起；此前的账目全部相同",
    "whatever this log says may be told otherwise to others: show this file to all members": (
        "此账本对他人的说法可能不同：请把此文件出示给所有成员"
    ),
    "Settled": "已了结",
    "it was proven, and the governors have made void since what it rests on": (
        "此前已得到证实；其所依据的内容此后已由治理方裁定作废"
    ),
    (
        "the governors have ruled that the history of size {size} with root {root} counts, and the log goes on from "
        "there with another key"
    ): "治理方已裁定以长度 {size}、根 {root} 的历史为准，此账本自该处起改用另一密钥继续",
    "the proof of one entry": "一条账目的证明",
    "the evidence of a record's history": "记录流转历史的证据",
    "a network document": "网络文件",
    "{entries} entries of the history of record {record}: each signed by its department, in its log, and under a "
    "checkpoint that a quorum of members has cosigned": (
        "记录 {record} 历史中的 {entries} 条账目：每条均由其部门签名、在其账本中，且处于法定数量成员共同签名的检"
        "查点之下"
    ),
    "network {name}, version {version}: every version signed by enough governors, back to the fingerprint": (
        "网络 {name} 第 {version} 版：每个版本均有足够多的治理方签署，直至指纹"
    ),
    "{entry}: signed by its department, in its log under the checkpoint of size {size}, which {count} members "
    "have cosigned ({needed} needed)": (
        "{entry}：由其部门签名，在其账本长度 {size} 的检查点之下，{count} 个成员已共同签名（须 {needed} 个）"
    ),
    "Entries": "账目数",
    "Confirmed": "已确认",
    "Cosigned": "共同签名",
    "{count} ({needed} needed)": "{count}（须 {needed}）",
    "State": "状态",
    "Last answer (UTC)": "最近应答（UTC）",
    "not asked yet": "尚未询问",
    "answers": "有应答",
    "does not answer": "无应答",
    "Settings file": "设置文件",
    "Setting": "设置",
    "Value": "值",
    "From": "来源",
    "environment": "环境变量",
    "default": "默认",
    "check_audit": "全部字节",
    "check_clock": "时钟",
    "check_config": "设置",
    "check_disk": "磁盘",
    "check_evidence": "证明",
    "check_freshness": "新近担保",
    "check_head": "头文件",
    "check_keys": "密钥",
    "check_log_keys": "账本密钥",
    "check_member": "成员资格",
    "check_network": "网络文件",
    "check_next_key": "下一密钥",
    "check_node": "节点",
    "check_packages": "软件包",
    "check_peers": "其他节点",
    "check_permissions": "文件权限",
    "check_policy": "信任策略",
    "check_skew": "时钟偏差",
    "check_store": "存储",
    "check_tokens": "令牌",
    "check_witness": "见证",
    "ok": "正常",
    "warning": "注意",
    "PROBLEM": "有问题",
    "DAMAGE": "已损坏",
    "reading the store": "读取存储",
    "verifying entries": "核验账目",
    "comparing indexes": "比对索引",
    "examining": "正在检查",
    "no answer": "无应答",
    "another node answers at its address: {log}": "其地址上应答的是另一节点：{log}",
    "The node of {log}": "{log} 的节点",
    "Every stored byte": "存储的每个字节",
    "There is more damage than is named here.": "损坏之处多于此处所列。",
    "{entries} entries and {pairs} stored keys: all of them are what they must be": (
        "{entries} 条账目、{pairs} 个存储键：全部完好"
    ),
    "{file}: the settings can be read": "{file}：设置可读",
    "no other distribution owns the packages cli, ledger and node": "没有其他软件包占用 cli、ledger 和 node 这些名称",
    "other distributions own our packages: {names}": "其他软件包占用了我们的包名：{names}",
    "install suyuan into an environment of its own": "请把 suyuan 安装在独立的环境中",
    "others may read or write {files}": "他人可读或可写 {files}",
    "chmod 600 these files; a secret key that others have read must be replaced": (
        "请对这些文件执行 chmod 600；已被他人读取的私钥必须更换"
    ),
    "nobody else can read the keys": "他人无法读取密钥",
    "all five keys are there, and those of {origin}": "五个密钥齐全，且属于 {origin}",
    "network {name}, version {version}, {count} members: verified back to the fingerprint": (
        "网络 {name} 第 {version} 版，{count} 个成员：已核验至指纹"
    ),
    "the network document does not name {origin}": "网络文件中没有 {origin}",
    "the governors add a member with suyuan network add-member": "治理方用 suyuan network add-member 加入成员",
    "the membership of {origin} is suspended: its log does not go on, its cosignatures do not count": (
        "{origin} 的成员资格已暂停：其账本不再继续，其联署不计数"
    ),
    "the membership of {origin} has ended for good: its log does not go on, and stays verifiable": (
        "{origin} 的成员资格已永久终止：其账本不再继续，但始终可以核验"
    ),
    "it runs, and records nothing: it takes no part": "正在运行，但什么也不登记：本节点不参与",
    "suyuan run starts it; until then it records nothing, and its cosignatures are missing": (
        "用 suyuan run 启动；在此之前它什么也不登记，也不提供联署"
    ),
    "foreign logs are not cosigned: what this node has cosigned of them is not known any more": (
        "外部账本不予联署：本节点曾联署过的内容已无从得知"
    ),
    "see docs/operations.md, Witnessing foreign logs: suyuan witness resume, or a new witness key": (
        "见 docs/operations.md 的 Witnessing foreign logs 一节：suyuan witness resume，或改用新的见证密钥"
    ),
    "{log} takes no part: its membership is suspended": "{log} 不参与：其成员资格已暂停",
    "{log} takes no part: its membership has ended": "{log} 不参与：其成员资格已终止",
    "check_certificate": "证书",
    "the certificate is valid for {host}; days left: {left}": "证书对 {host} 有效；剩余天数：{left}",
    "renew it; a renewed certificate is read at the next start": "请更新证书；更新后的证书在下次启动时读取",
    "the peers refuse the certificate: {problem}": "其他节点会拒绝此证书：{problem}",
    "it must be valid now, and for the host name in the department's URL; a new one is read at the next start": (
        "证书须当前有效，且对本部门 URL 中的主机名有效；新证书在下次启动时读取"
    ),
    "what this node trusts does not vouch for its own certificate: {problem}": (
        "本节点所信任的机构不能为其自身证书担保：{problem}"
    ),
    "see that the file has the whole chain, and that the peers trust its authority (peer_ca)": (
        "请确认文件包含完整证书链，且其他节点信任其签发机构（peer_ca）"
    ),
    "check_address": "地址",
    "it answers at {url}, where the peers look for it": "在其他节点访问的地址 {url} 上有应答",
    "from here it does not answer at {url}, where the peers look for it: {problem}": (
        "从本机访问，其他节点所用的地址 {url} 上无应答：{problem}"
    ),
    (
        "see its port, the certificate and what stands before it; the governors change the address: suyuan network "
        "revise --url"
    ): "请检查端口、证书及其前置设备；地址由治理方更改：suyuan network revise --url",
    "check_memory": "见证记忆",
    "the network document names the keys of this node": "网络文件载明的正是本节点的密钥",
    "in use: {holder}": "使用中：{holder}",
    "it opens, {size} MB": "可以打开，{size} MB",
    "the store has {size} entries of this log, and {signed} have been signed": (
        "存储中有本账本的 {size} 条账目，而已签名的有 {signed} 条"
    ),
    "{count} tokens": "{count} 个令牌",
    "nothing was verified: the store does not open": "未作任何核验：存储无法打开",
    "every byte can be read; without the network document no entry can be verified": (
        "每个字节都可读取；没有网络文件，任何账目都无法核验"
    ),
    "the store has {count} entries of this log, as the head file says": "存储中有本账本的 {count} 条账目，与头文件一致",
    "{free} MB free at {folder}": "{folder} 剩余 {free} MB",
    "free some disk space: a node that cannot write stops recording": "请腾出磁盘空间：无法写入的节点会停止登记",
    "the clock is years behind": "时钟落后数年",
    "set the clock, and keep it set by NTP": "请校准时钟，并用 NTP 保持准确",
    "the clock is {seconds} s behind the newest entry of this log": "时钟比本账本最新账目落后 {seconds} 秒",
    "set the clock; until then new entries carry the time of the newest one": (
        "请校准时钟；在此之前新账目沿用最新账目的时间"
    ),
    "it is not behind this node's log": "不落后于本节点的账本",
    "against the peers' clocks it differs by {seconds} s at most ({origin})": (
        "与其他节点的时钟最多相差 {seconds} 秒（{origin}）"
    ),
    "set the clock, here or there: requests between the two are refused": (
        "请校准其中一方的时钟：两者之间的请求会被拒绝"
    ),
    "it does not run": "未在运行",
    "a process has the store open, but the node does not answer: {problem}": "有进程占用存储，但节点无应答：{problem}",
    "is it starting, hanging, or listening elsewhere? suyuan config show names its address": (
        "是正在启动、卡住，还是监听在别处？地址见 suyuan config show"
    ),
    "integrity alarm: {alarms}": "完整性告警：{alarms}",
    "a kept proof is no proof any more: {problem}": "所存的一份证明已不成其为证明：{problem}",
    "{count} proofs of two stories: {stories}": "{count} 份说法不一的证明：{stories}",
    "no log is convicted of two stories": "没有账本被证实说法不一",
    "two signed heads that cannot both be true": "两个不能同时为真的签名检查点",
    "two signed entries that cannot both be true": "两条不能同时为真的签名账目",
    "a signed head to which its own entries do not hash": "与自身账目不符的签名检查点",
    "No log is known to have told two stories.": "未发现说法不一的账本。",
    "stands": "成立",
    "settled": "已了结",
    "What its key has signed": "其密钥所签",
    "Differs before": "分歧止于",
    "Proof": "证明",
    "{value} is no id of a proof: at least its first 8 digits; suyuan evidence list shows them": (
        "{value} 不是证明的编号：至少给出前 8 位；suyuan evidence list 会列出"
    ),
    "{digits} begins the ids of {count} proofs": "有 {count} 份证明的编号以 {digits} 开头",
    "suyuan evidence list shows the proofs; show them to the governors, who decide how the log goes on": (
        "suyuan evidence list 会列出证明；请交治理方，由其决定该账本如何继续"
    ),
    "restart the node; if it happens again, report it with the lines of its log": (
        "请重启节点；若再次发生，请连同其日志一起报告"
    ),
    "stop the node and keep its folder as it is": "请停止节点，保持其文件夹原样",
    "it runs, and cannot write: {problem}": "正在运行，但无法写入：{problem}",
    "see the node's log; free some disk space or mend the disk, then start it again": (
        "请查看节点日志；腾出或修复磁盘后重新启动"
    ),
    "it runs, and cannot sign with keys that the network document names: {keys}": (
        "正在运行，但本机没有网络文件写明的密钥，无法用其签名：{keys}"
    ),
    "put the files of these keys into the folder keys, and restart it": (
        "请把这些密钥的文件放入文件夹 keys，然后重启节点"
    ),
    "it runs, and records nothing: the network document does not name the log key that was announced from entry "
    "{start} on": "正在运行，但什么也不登记：已公告自第 {start} 条起使用另一个账本密钥，而网络文件尚未写明",
    "the next log key begins with entry {start}, and the network document does not name it yet; entries left: {left}": (
        "下一个账本密钥自第 {start} 条起使用，而网络文件尚未写明；还可登记 {left} 条"
    ),
    "it goes on when somebody gives the missing entries; if nobody has them, see docs/operations.md, A lost store": (
        "有成员给出所缺账目后即可继续；若无人持有，见 docs/operations.md 的 A lost store 一节"
    ),
    "it asks its peers what it has said before, and does not write yet; answers: {answered} of the {needed} needed": (
        "正在向其他节点询问自己说过什么，尚不写入：须 {needed} 个应答，已有 {answered} 个"
    ),
    "it restores its own log, and does not write yet: {problem}": "正在恢复自己的账本，尚不写入：{problem}",
    "it goes on by itself when enough of the others answer": "足够多的其他节点应答后会自动继续",
    "it runs: {count} entries, {confirmed} confirmed": "正在运行：{count} 条账目，{confirmed} 条已确认",
    "{count} of {all} peers answer": "{all} 个其他节点中 {count} 个有应答",
    "{count} of {all} peers answer; not: {silent}": "{all} 个其他节点中 {count} 个有应答；无应答：{silent}",
    "without a quorum nothing is confirmed; ask the members whose nodes do not answer": (
        "达不到法定数量就无法确认；请联系节点无应答的成员"
    ),
    "{problem}": "{problem}",
}
