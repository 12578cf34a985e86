"""Errors in Chinese: what each code means, and each hint of the ledger and the node."""

MESSAGES = {
    "ledger_error": "账本错误",
    "malformed": "格式不符",
    "bad_decimal": "数字写法不符",
    "bad_base64": "base64 写法不符",
    "bad_time": "时间写法不符",
    "bad_json": "JSON 不合要求",
    "invalid_utf8": "不是 UTF-8",
    "duplicate_member": "成员重复",
    "float_not_allowed": "不允许小数",
    "not_canonical": "不是规范形式",
    "bad_note": "不是签名文件",
    "bad_key": "密钥不可用",
    "bad_checkpoint": "不是检查点",
    "bad_proof": "不是证明",
    "bad_tile": "不是瓦片",
    "bad_entry": "不是账目",
    "bad_network": "不是网络文件",
    "bad_evidence": "不是证据文件",
    "bad_policy": "不是信任策略",
    "bad_equivocation": "不是说法不一的证明",
    "bad_manifest": "不是清单",
    "unknown_kind": "未知种类的文件",
    "no_network": "缺少网络文件",
    "over_limit": "超出限制",
    "too_long": "过长",
    "too_many": "过多",
    "too_deep": "嵌套过深",
    "out_of_range": "超出范围",
    "body_too_large": "请求过大",
    "wrong_media_type": "内容类型不符",
    "bad_event": "事件不合要求",
    "unknown_event_type": "未知的事件类型",
    "unknown_member": "没有这个成员项",
    "missing_member": "缺少必需的成员项",
    "wrong_type": "类型不符",
    "bad_value": "值不合要求",
    "not_verified": "核验不通过",
    "invalid_signature": "签名无效",
    "unsigned": "没有可识别的签名",
    "not_proven": "未能证实",
    "not_included": "不在账本中",
    "inconsistent": "前后不一致",
    "broken_chain": "链条断裂",
    "no_quorum": "未达法定数量",
    "wrong_fingerprint": "指纹不符",
    "unknown_log": "没有这个账本",
    "store_error": "存储错误",
    "store_missing": "没有存储",
    "store_exists": "存储已存在",
    "store_locked": "存储被占用",
    "store_corrupt": "存储损坏",
    "store_failed": "写入失败",
    "store_closed": "存储已关闭",
    "node_error": "节点错误",
    "bad_config": "配置不可用",
    "refused": "不予受理",
    "event_id_conflict": "事件编号冲突",
    "unknown_consumer": "没有这个使用方",
    "unknown_share": "没有这次共享",
    "not_yours": "不是发给本部门的",
    "already_answered": "已经答复过",
    "digest_mismatch": "摘要不一致",
    "unknown_parent": "没有这个来源",
    "unknown_manifest": "没有这份清单",
    "not_found": "未找到",
    "busy": "繁忙",
    "unknown_version": "尚无该版网络文件",
    "worker_lost": "验证进程已中止",
    "network_fork": "网络文件出现分叉",
    "manifests_waiting": "未登记的清单过多",
    "not_confirmed": "尚未确认",
    "read_only": "只读",
    "integrity_alarm": "完整性告警",
    "log_frozen": "账本已冻结",
    "client_error": "访问节点出错",
    "unreachable": "无应答",
    "bad_answer": "应答不符",
    "bad_url": "地址不可用",
    "bug": "软件故障",
    "token_error": "令牌错误",
    "unauthorized": "需要令牌",
    "bad_token": "令牌格式不符",
    "unknown_token": "未知的令牌",
    "expired_token": "令牌已失效",
    "forbidden": "权限不足",
    "token_file": "令牌文件不可用",
    "token_exists": "令牌已存在",
    "token_not_found": "没有这个令牌",
    "no_receipt": "没有接收答复",
    "digest_differs": "两方摘要不同",
    "foreign_receipt": "他人的答复",
    "second_receipt": "重复的答复",
    "parent_of_another": "来源属于他人",
    "parent_rejected": "来源已被拒收",
    "source_unknown": "来源不明",
    "parent_not_named": "未写明来源",
    "unreadable": "无法读取",
    "damaged": "已损坏",
    "entry_missing": "账目缺失",
    "tree_unknown": "树无法重算",
    "tile_missing": "瓦片缺失",
    "tile_differs": "瓦片不符",
    "chain_missing": "链头缺失",
    "chain_differs": "链头不符",
    "entries_beyond": "账本末尾之后有账目",
    "tiles_beyond": "瓦片过多",
    "store_older": "存储过旧",
    "wrong_root": "根不符",
    "head_missing": "头文件缺失",
    "checkpoint_missing": "检查点缺失",
    "index_missing": "索引缺失",
    "index_differs": "索引不符",
    "index_stray": "多余的索引",
    "manifest_missing": "清单缺失",
    "manifest_differs": "清单不符",
    "see the line that is named; c2sp.org/tlog-policy describes the format": (
        "请看所指的那一行；格式见 c2sp.org/tlog-policy"
    ),
    "the bytes are not what the protocol describes: see docs/protocol.md": "内容不符合协议：见 docs/protocol.md",
    "use standard base64 with padding (RFC 4648 section 4)": "请使用带填充的标准 base64（RFC 4648 第 4 节）",
    "write times as 2026-11-21T08:15:30.123Z: UTC, exactly three decimals": (
        "时间请写作 2026-11-21T08:15:30.123Z：UTC，恰好三位小数"
    ),
    "the text must be one JSON object": "内容须为一个 JSON 对象",
    "encode the text as UTF-8": "请用 UTF-8 编码",
    "keep one of the two; a reader could not tell which one counts": "请只保留一个；否则无法判断以哪个为准",
    "use whole numbers; write a fraction as a string": "请使用整数；小数请写成字符串",
    "sort the member names, leave out white space, escape only what must be escaped (RFC 8785)": (
        "成员名须排序、不留空白、只转义必须转义的字符（RFC 8785）"
    ),
    "a verifier key reads name+hash+base64, see c2sp.org/signed-note": (
        "公钥写作 name+hash+base64，见 c2sp.org/signed-note"
    ),
    "make it smaller, or split it": "请缩小或拆分",
    "see the range in the message": "范围见错误信息",
    "suyuan share --help and /docs list the members of each event": "各类事件的成员项见 suyuan share --help 和 /docs",
    "remove the member or correct its name; nothing is silently ignored": (
        "请删除该成员项或更正名称；不会默默忽略任何内容"
    ),
    "do not rely on it; keep the file as evidence and ask its source": "请勿采信；保留文件作为证据，并询问其来源",
    "check that the network document, or the policy, is the one that names the signer's key": (
        "请确认网络文件或策略中载有签名者的密钥"
    ),
    "keep both checkpoints: together they are the evidence": "请保留两个检查点：两者合起来就是证据",
    "wait until more members have cosigned, or ask why they do not": "请等待更多成员共同签名，或询问其原因",
    "compare the fingerprint with the one that was given to you out of band": "请与经其他渠道取得的指纹比对",
    "suyuan network show lists the members and their logs": "成员及其账本见 suyuan network show",
    "see the log; suyuan doctor looks closer": "请查看日志；可用 suyuan doctor 进一步检查",
    "put it back, or make an empty one with suyuan init DIR --rebuild: the node fills it from its peers": (
        "请放回原处，或用 suyuan init DIR --rebuild 建立空存储：节点会从其他节点补齐"
    ),
    "use another folder, or remove the old one if it is really not needed": "请换一个文件夹，或在确实不需要时删除旧的",
    "only one process may open a node's data; stop the other one first": "节点数据只能由一个进程打开；请先停止另一进程",
    "do not repair in place: set the folder data aside; after suyuan init DIR --rebuild the node fills it anew": (
        "请勿就地修复：把文件夹 data 移开；suyuan init DIR --rebuild 之后节点会重新补齐"
    ),
    "start the node: it fetches what is missing from its peers before it writes again": (
        "请启动节点：它先从其他成员取回所缺部分，然后才恢复写入"
    ),
    "it writes again by itself when enough of the others have answered; try again later": (
        "足够多的其他成员应答后，节点会自动恢复写入；请稍后再试"
    ),
    "try again in a moment": "请稍候再试",
    "stop the node, and move the damaged folder aside, but keep it": "请停止节点，把损坏的文件夹移到别处，但要保留",
    "free some disk space or mend the disk, then start the node again": "请腾出或修复磁盘，然后重新启动节点",
    "suyuan config show prints what was read and from where": "读取了什么、来自何处，见 suyuan config show",
    "use a new id for a new event; the same id answers again only for the same content": (
        "新事件请用新编号；同一编号只对同一内容再次答复"
    ),
    "suyuan network show lists the members": "成员见 suyuan network show",
    "wait until this node has mirrored the provider's log, or correct the reference": (
        "请等本节点同步提供方的账本，或更正引用"
    ),
    "only the consumer that the share names can answer it": "只有共享所载的使用方可以答复",
    "a share is answered once; see suyuan show for the receipt": "一次共享只答复一次；已有答复见 suyuan show",
    "reject the share, with the reason, if other data has arrived": "若收到的是其他数据，请说明理由并拒收",
    "name the share by which this department received the data": "请写明本部门接收该数据的那次共享",
    "post the manifest first: suyuan share does so by itself": "请先提交清单：suyuan share 会自动提交",
    "look into the system's log for what ended it (memory?); verify_processes = 0, sign_processes = 0 do without": (
        "请查看系统日志，了解进程为何中止（内存不足？）；设置 verify_processes = 0、sign_processes = 0 可不使用这些进程"
    ),
    "this node fetches the document from its peers; try again in a moment": "本节点正向其他节点获取该文件；请稍后再试",
    "two histories of the network itself: ask the governors, by another way than the network, which one counts": (
        "网络本身出现两份历史：请通过网络以外的途径向治理方核实以哪一份为准"
    ),
    "try again after the time that Retry-After gives": "请在 Retry-After 所示时间后重试",
    "record the shares that name the manifests posted before, then post this one again": (
        "请先登记引用已提交清单的共享，再提交这一份"
    ),
    "the event is recorded; ask for its state again later": "事件已登记；请稍后再查询其状态",
    "suyuan doctor says why": "原因见 suyuan doctor",
    "suyuan evidence list shows the proof; the log goes on when the governors have readmitted it": (
        "证明见 suyuan evidence list；治理方重新接纳后，该账本方可继续"
    ),
    "suyuan evidence list shows them": "见 suyuan evidence list",
    "GET /v1/equivocations lists them": "见 GET /v1/equivocations",
    "stop the node, keep its folder as it is, and run suyuan doctor": (
        "请停止节点，保持文件夹原样，并运行 suyuan doctor"
    ),
    "suyuan init makes a node's folder; give it with --config": "suyuan init 建立节点文件夹；请用 --config 给出",
    "have more governors sign it with suyuan network sign, each in the file that the one before has made": (
        "请由更多治理方用 suyuan network sign 签署，各自接着前一位签好的文件"
    ),
    "wait until more of the policy's witnesses have cosigned": "请等待信任策略中更多的见证方共同签名",
    "suyuan logs lists them, over HTTP GET /v1/logs": "见 suyuan logs，经 HTTP 则见 GET /v1/logs",
    "another member's node may have it whole": "其他成员的节点可能存有完整内容",
    "create the folder above it first": "请先建立上级文件夹",
    "get the newest network document from a governor or a peer: GET /v1/network": (
        "请向治理方或其他节点取得最新的网络文件：GET /v1/network"
    ),
    "install plyvel, or use a store of kind sqlite": "请安装 plyvel，或使用 sqlite 存储",
    "it is fetched from the other members; try again later": "正从其他成员取回；请稍后再试",
    "open it as what it is": "请按其实际种类打开",
    "open it with the version that made it": "请用生成它的版本打开",
    "see /docs": "见 /docs",
    "suyuan receive --records-file FILE": "suyuan receive --records-file FILE",
    "the governors sign it: suyuan network sign DRAFT --key FILE --out NETWORK": (
        "由治理方签署：suyuan network sign DRAFT --key FILE --out NETWORK"
    ),
    "move the file aside, but keep it: without it the node asks its peers what it has signed": (
        "请把该文件移到别处并保留：没有它，节点会向其他节点询问自己曾签署过什么"
    ),
    "suyuan token new --help says how": "用法见 suyuan token new --help",
    "write it as 90d, 2027-01-01 or 2027-01-01T00:00:00.000Z; 1d is the least": (
        "请写成 90d、2027-01-01 或 2027-01-01T00:00:00.000Z；最少 1d"
    ),
    "the place that the settings name must have it; a changed setting takes effect at the next start": (
        "设置所指的位置须有该密钥；更改的设置在下次启动时生效"
    ),
    "the governors decide who takes part: suyuan network show": "由治理方决定谁参加：suyuan network show",
    "this is a fault of the software: please report it with the node's log": "这是软件故障：请附上节点日志报告",
    "write it as file:keys/log.key": "请写作 file:keys/log.key",
    "suyuan init DIR --network FILE --fingerprint HEX": "suyuan init DIR --network FILE --fingerprint HEX",
    "choose another folder": "请换一个文件夹",
    "make a new folder with suyuan init": "请用 suyuan init 建立新文件夹",
    "is the node running, and is this its address? suyuan run starts it, suyuan doctor looks closer": (
        "节点是否在运行，地址是否正确？suyuan run 可启动节点，suyuan doctor 可进一步检查"
    ),
    "give the authority of its certificate with --ca, or as peer_ca in the settings; the certificate must be valid for "
    "the host name that is asked": ("请用 --ca 或设置 peer_ca 给出其证书的签发机构；证书须对所访问的主机名有效"),
    "is this a node of Suyuan, of this version, without something in between that changes answers?": (
        "这是同一版本的溯源节点吗？中间是否有设备改动了应答？"
    ),
    "write the address as http://127.0.0.1:8300 or https://node.police.ordos.example": (
        "地址请写作 http://127.0.0.1:8300 或 https://node.police.ordos.example"
    ),
    "proofs, evidence files and network documents can be verified; suyuan proof and suyuan trace --save make them": (
        "可核验证明、证据文件和网络文件；由 suyuan proof 和 suyuan trace --save 生成"
    ),
    "give the network document with --network; evidence files carry it themselves": (
        "请用 --network 给出网络文件；证据文件自带网络文件"
    ),
    "both parts can be true at once: nobody is accused by this file": "两部分可以同时成立：此文件不指控任何人",
    "give the entry's file too": "请同时给出账目文件",
    "suyuan token new makes one; give it with --token-file or SUYUAN_TOKEN, over HTTP as Authorization: Bearer": (
        "令牌由 suyuan token new 生成；请用 --token-file 或 SUYUAN_TOKEN 给出，经 HTTP 则用 Authorization: Bearer"
    ),
    "stop the other one, or set another port; suyuan config show says what is set": (
        "请停止另一个进程，或设置其他端口；当前设置见 suyuan config show"
    ),
    "is the file whole? suyuan proof makes such files": "文件是否完整？此类文件由 suyuan proof 生成",
    "is the file whole? suyuan trace --save and suyuan evidence save make such files": (
        "文件是否完整？此类文件由 suyuan trace --save 和 suyuan evidence save 生成"
    ),
    "use a token with the role that the message names": "请使用具有所述角色的令牌",
    "choose another name, or revoke the old token first: suyuan token revoke": (
        "请换一个名称，或先撤销旧令牌：suyuan token revoke"
    ),
    "suyuan token list shows the names": "名称见 suyuan token list",
    "the token was revoked, or is another node's; suyuan token list shows which there are": (
        "令牌已撤销，或属于其他节点；现有令牌见 suyuan token list"
    ),
}
