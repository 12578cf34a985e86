"""Help in Chinese: what commands do, and what their options mean."""

MESSAGES = {
    "Usage:": "用法：",
    "Options": "选项",
    "Commands": "命令",
    ":": "：",
    "required": "必填",
    "default {value}": "默认 {value}",
    "Show this page and exit.": "显示本页后退出。",
    "Show the version and exit.": "显示版本后退出。",
    "Language for people, as with SUYUAN_LANG; what programs read stays the same.": (
        "给人看的语言，同 SUYUAN_LANG；给程序读的内容不变。"
    ),
    "Show where in the software an error comes from, as with SUYUAN_DEBUG=1.": (
        "显示错误出自软件何处，同 SUYUAN_DEBUG=1。"
    ),
    "Suyuan (溯源): a ledger for traceable data sharing between departments.": "溯源：部门间数据共享全程可追溯的账本。",
    "Suyuan (溯源): who passed which record to whom, provably.": "溯源：哪条数据由谁交给了谁，有据可证。",
    "Data is printed on standard output, everything else on standard error. Exit codes: 0 it is so; 1 "
    "verification failed or findings; 2 wrong use or configuration; 3 not found; 4 not authorised; 5 no answer; "
    "6 integrity alarm; 70 a fault of this software; 130 interrupted.": (
        "数据输出到标准输出，其余输出到标准错误。退出码：0 属实；1 核验未通过或发现问题；2 用法或配置有误；3 未找"
        "到；4 无权限；5 无应答；6 完整性告警；70 软件自身故障；130 被中断。"
    ),
    "All commands: {all}   One command: {one}": "全部命令：{all}   单个命令：{one}",
    "The five to know": "最常用的五个",
    "Transfers": "流转",
    "Questions": "查询",
    "Operation": "运维",
    "watch departments share data, in this terminal": "在本终端观看各部门共享数据的演示",
    "make a department's node, and join it to a network": "建立部门节点，并加入网络",
    "run the node": "运行节点",
    "show who passed a record to whom, verified here": "显示数据由谁交给了谁，并在本机核验",
    "verify evidence, proofs and network documents offline": "离线核验证据、证明和网络文件",
    "record that data left this department": "登记数据已从本部门共享出去",
    "answer a share: received, or rejected": "答复一次共享：已接收或已拒收",
    "record transfers that another system has logged": "登记其他系统日志中的流转",
    "turn identifiers into record references": "把标识转换为记录标识",
    "show one entry, in words and as it was signed": "显示一条账目的含义和签名原文",
    "save the proof of one entry": "保存一条账目的证明",
    "show the members' logs as the node has them": "显示节点所存的各成员账本",
    "show which peers answer, and how far they are": "显示哪些节点有应答、进度如何",
    "make, change, sign and check the network document": "制作、修改、签署和核验网络文件",
    "show and save the proofs that a log has told two stories": "显示和保存账本说法不一的证明",
    "list the proofs that the node keeps": "列出节点所存的证明",
    "verify one here, and tell its two stories": "在本机核验一份证明，并说明其中两种说法",
    "save one as a file that convinces anybody": "把一份证明存为人人可核验的文件",
    "Look at the proofs that a log has told two stories.": "查看账本说法不一的证明。",
    "Nodes make such a proof by themselves when they meet what a log's key has signed twice, judge those that peers "
    "have made, and take nothing new of a log while one stands. suyuan verify judges a saved one offline.": (
        "节点遇到某账本密钥签出两种说法时，会自行制作证明；其他节点所作的证明由本机自行核验；证明成立期间，不再接收该"
        "账本的新内容。保存的证明可用 suyuan verify 离线核验。"
    ),
    "List the proofs that the node keeps; it has judged every one of them.": (
        "列出节点所存的证明；每份均经节点自行核验。"
    ),
    "Exit code 6 when one stands: the log is frozen until the governors have readmitted it.": (
        "有证明成立时退出码为 6：该账本被冻结，直至治理方重新接纳。"
    ),
    "Verify a proof here, and tell the two stories that the log has signed.": (
        "在本机核验一份证明，并说明该账本签出的两种说法。"
    ),
    "Exit code 6 when the proof holds, 1 when it does not: as suyuan verify says of its file, also when the governors "
    "have ruled since.": (
        "证明成立时退出码为 6，不成立时为 1：与 suyuan verify 对其文件的结论相同，治理方已裁定的亦同。"
    ),
    "Save a proof as a file that needs nothing but the network's fingerprint to be judged.": (
        "把一份证明存为文件，只凭网络指纹即可核验。"
    ),
    "Where the fingerprint is known, the proof is verified before it is saved.": "已知指纹时，先核验证明再保存。",
    "manage who may use the node's interface": "管理谁可以使用节点接口",
    "examine a node, down to every stored byte": "检查节点，直至存储的每个字节",
    "show the settings in force, and where each comes from": "显示生效的设置及其来源",
    "print the completion script for a shell": "输出命令行补全脚本",
    "Print JSON for a program; docs/cli-json.md describes it.": "输出供程序读取的 JSON；说明见 docs/cli-json.md。",
    "The node's folder, or its settings file.": "节点文件夹，或其设置文件。",
    "The node's folder: its address, network and fingerprint.": "节点文件夹：由此得知地址、网络和指纹。",
    "The network's fingerprint, as it was given to you out of band.": "网络指纹，须经其他可靠渠道取得。",
    "The network document; it must lead back to the fingerprint.": "网络文件；必须能追溯到指纹。",
    "The node's address.": "节点地址。",
    "The token; others can read it in the list of processes.": "令牌；他人可在进程列表中看到。",
    "A file with the token, readable by you alone.": "存放令牌的文件，须只有您可读。",
    "Authority that signed the node's certificate (PEM).": "签发节点证书的机构（PEM）。",
    "Longest wait for an answer, in seconds.": "等待应答的最长秒数。",
    "Make a department's node in the folder DIR; or, with --network, join a network with the node that is there.": (
        "在文件夹 DIR 中建立部门节点；用 --network 时，让其中已有的节点加入网络。"
    ),
    "A node has one folder, with its settings, its secret keys and its data. Its public keys go into "
    "DIR/member.json, for the governors of the network; with the network document that they sign, the node joins.": (
        "每个节点有一个文件夹，存放设置、私钥和数据。公钥写入 DIR/member.json，交给网络的治理方；节点凭治理方签署"
        "的网络文件加入网络。"
    ),
    "With --rebuild, a node whose data folder is lost gets an empty one. When it starts, it fetches its own log and "
    "all others from its peers, and writes nothing before its own is whole.": (
        "用 --rebuild 时，为数据文件夹已丢失的节点建立空的数据文件夹。节点启动后从其他成员取回自己的账本和"
        "所有其他账本；自己的账本完整之前不写入。"
    ),
    "Make an empty store where it is lost; the peers fill it.": "存储丢失时建立空的存储，由其他成员补全。",
    "Name of the department's log, as in police.ordos.example/log.": "部门账本的名称，例如 police.ordos.example/log。",
    "Where the other members reach the node.": "其他成员访问本节点的地址。",
    "The department's name in Chinese.": "部门的中文名称。",
    "The department's name in English.": "部门的英文名称。",
    "Level of administration.": "行政层级。",
    "Code of the administrative division, as in 150600.": "行政区划代码，例如 150600。",
    "Role in the network; repeat it for several.": "在网络中的角色；多个角色可重复使用。",
    "Unified social credit code or another code of the organisation.": "统一社会信用代码或其他机构代码。",
    "Port to listen on; else that of the address, else 8300.": "监听端口；默认取地址中的端口，否则 8300。",
    "Kind of database; else LevelDB where it is installed.": "数据库种类；默认在已安装时用 LevelDB。",
    "Join this network: its signed document.": "要加入的网络：已签署的网络文件。",
    "Run the node of a folder in the foreground. Its log goes to standard error; Ctrl-C or SIGTERM stops it.": (
        "在前台运行文件夹中的节点。日志输出到标准错误；用 Ctrl-C 或 SIGTERM 停止。"
    ),
    "Print the script by which a shell completes commands and options.": "输出脚本，使命令行能自动补全命令和选项。",
    "Make, change, sign and check the network document.": "制作、修改、签署和核验网络文件。",
    "It says who belongs to the network, with which keys, and how many must agree.": (
        "网络文件写明成员有哪些、各用什么密钥、须多少成员同意。"
    ),
    "draft a new network, with keys for its governors": "起草新网络，并生成治理方密钥",
    "put members into a draft, or begin the next version": "把成员写入草稿，或开始下一版本",
    "sign a draft as a governor": "以治理方身份签署草稿",
    "show what a network document says": "显示网络文件的内容",
    "verify all versions back to the fingerprint": "核验全部版本，直至指纹",
    "Draft the first version of the network NAME, without members yet.": "起草网络 NAME 的第一个版本，暂无成员。",
    "Each governor's key is a file of its own; keep them apart from each other and from the nodes.": (
        "每个治理方密钥各为一个文件；彼此分开存放，也不要放在节点上。"
    ),
    "The draft.": "草稿文件。",
    "A governor's secret key; made where there is none. Repeat it for several.": (
        "治理方私钥文件；没有则新建。多个可重复使用。"
    ),
    "Public key of a governor who keeps the secret one elsewhere.": "私钥另行保管的治理方的公钥。",
    "How many governors must sign; else more than half of them.": "须签署的治理方数量；默认过半数。",
    "Table of rules and time limits.": "规则与时限表。",
    "Who may read the logs: the members, or anyone.": "谁可以读取账本：仅成员，或任何人。",
    "How many members may fail or lie; else less than a third.": "允许失效或作假的成员数；默认少于三分之一。",
    "Put members into a draft. From a signed network document, begin the draft of its next version.": (
        "把成员写入草稿；若给出已签署的网络文件，则由其起草下一版本。"
    ),
    "MEMBER.json is what suyuan init has written for each of them: public keys and what the department says of "
    "itself. Check with the department that it is really theirs.": (
        "MEMBER.json 由各部门的 suyuan init 生成，含公钥和部门自述。请与该部门核实确属其所有。"
    ),
    "The new draft; else the draft itself, or beside a signed document FILE.draft.": (
        "新草稿；默认为草稿本身，对已签署的文件则为同目录的 FILE.draft。"
    ),
    "Sign a draft as a governor: read it first, suyuan network show DRAFT.": (
        "以治理方身份签署草稿。签署前请先阅读：suyuan network show DRAFT。"
    ),
    "Several governors sign one after the other, each with the file that the one before has made. The next "
    "version of a network needs enough governors of the version before as well, and goes behind it into the same "
    "file.": (
        "多个治理方依次签署，每一方使用前一方生成的文件。网络的下一版本还须有足够多的前一版本治理方签署，并接在同"
        "一文件之后。"
    ),
    "For version 1 the fingerprint is printed on standard output. Give it to every member by another way than "
    "the document itself.": ("对第 1 版，指纹输出到标准输出。请通过不同于文件本身的渠道告知每个成员。"),
    "A governor's secret key; repeat it for several.": "治理方私钥文件；多个可重复使用。",
    "The file of signed versions; what it holds already is kept, and the signature added.": (
        "已签署版本的文件；保留原有内容并加上签名。"
    ),
    "Show what the newest version in a file says, signed or draft. To verify it: suyuan network verify.": (
        "显示文件中最新版本的内容，已签署或草稿均可。核验请用 suyuan network verify。"
    ),
    "Verify all versions of a network document, from the one that the fingerprint pins to the newest.": (
        "核验网络文件的全部版本，从指纹固定的版本直到最新版本。"
    ),
    "Manage the tokens by which a department's programs use its node.": "管理部门的程序使用本部门节点的令牌。",
    "The node keeps only a digest of each token. Roles: read, for all that the node serves; submit, to record "
    "events as well; admin, for all of that and to operate.": (
        "节点只保存令牌的摘要。角色：read 可读取节点提供的全部内容；submit 还可登记事件；admin 另可运维。"
    ),
    "make a token, and print it this once": "生成令牌，只显示这一次",
    "list the tokens, not their secrets": "列出令牌，不含其内容",
    "make a token worthless": "使令牌失效",
    "Make the token NAME, and print it on standard output, this once: it is stored nowhere.": (
        "生成名为 NAME 的令牌并输出到标准输出，只此一次：任何地方都不保存。"
    ),
    "What the token allows.": "令牌允许的操作。",
    "When it ends: 90d, 2027-01-01, or 2027-01-01T00:00:00.000Z. Else never.": (
        "何时失效：90d、2027-01-01 或 2027-01-01T00:00:00.000Z；默认永不。"
    ),
    "List the tokens that a node knows: names, roles and times, never the tokens themselves.": (
        "列出节点认可的令牌：名称、角色和时间，从不显示令牌本身。"
    ),
    "Make the token NAME worthless; a running node refuses it from then on.": (
        "使令牌 NAME 失效；运行中的节点随即拒绝它。"
    ),
    "Turn identifiers into record references: keyed pseudonyms that only this department can make.": (
        "把标识转换为记录标识：只有本部门能生成的带密钥假名。"
    ),
    "An identifier on the command line is seen by others in the list of processes; real ones belong in a file.": (
        "命令行上的标识会被他人在进程列表中看到；真实标识应放在文件中。"
    ),
    "What the identifier is, as in resident-id or case.": "标识的种类，例如 resident-id 或 case。",
    "Read identifiers from a file, one per line; - is standard input.": "从文件读取标识，每行一个；- 表示标准输入。",
    "Record that data left this department for another one.": "登记数据已从本部门共享给另一部门。",
    "The ledger gets no personal data: records are references that suyuan ref makes, the payload is only a digest.": (
        "账本不收个人信息：记录只用 suyuan ref 生成的标识，数据只留摘要。"
    ),
    "The log of the department that gets the data.": "接收数据的部门的账本。",
    "Reference of a record that was in it; repeat it for several.": "所含记录的标识；多个可重复使用。",
    "References, one per line; too many for one entry go into a manifest.": (
        "记录标识，每行一个；一条账目放不下时写入清单。"
    ),
    "What was shared, as the catalogue names it.": "共享的数据资源，用目录中的名称。",
    "Version of the resource.": "数据资源的版本。",
    "What the consumer needs it for.": "使用方的用途。",
    "Law, article, agreement.": "法律依据：法规、条款、协议。",
    "What it stays within: a name, or an entry as LOG#INDEX.": "所依据的授权：名称，或写作 LOG#INDEX 的账目。",
    "By which way.": "共享方式。",
    "What left: a copy, the answer to a query, a yes or no, a computed result.": (
        "提供的内容：副本、查询结果、核验结论或计算结果。"
    ),
    "Names of the fields, with commas between.": "字段名称，用逗号分隔。",
    "How many calls of an interface it sums up.": "合并了多少次接口调用。",
    "The share that the data came from, as LOG#INDEX; repeat it for several.": (
        "数据来源的共享，写作 LOG#INDEX；多个可重复使用。"
    ),
    'Send this event as it is, or {"events": […]}; - is standard input.': (
        '原样发送该事件，或 {"events": […]}；- 表示标准输入。'
    ),
    "How many rows.": "行数。",
    "How many bytes; of --payload it is known.": "字节数；给出 --payload 时自动得知。",
    "The file that was transferred; its SHA-256 and length are recorded.": "所传输的文件；只登记其 SHA-256 和长度。",
    "Digest of what was transferred, as in sha-256:… in base64.": "所传数据的摘要，写作 sha-256:…（base64）。",
    "The case that it belongs to.": "所属案件或事项。",
    "The system that did it.": "办理的系统。",
    "The person who did it, as a pseudonym.": "经办人的假名。",
    "A label; repeat it for several.": "标签；多个可重复使用。",
    "When it happened, as in 2026-11-21T08:15:30.123Z; else now.": (
        "发生时间，写作 2026-11-21T08:15:30.123Z；默认为现在。"
    ),
    "The event's id: sent twice, it is recorded once.": "事件编号：重复发送只登记一次。",
    "Answer when it is durable here, or when a quorum of members has it.": (
        "在本机落盘后即答复，或在法定数量的成员确认后答复。"
    ),
    "Answer a share that was sent to this department: received, or rejected.": "答复发给本部门的共享：已接收或已拒收。",
    "With --payload, what has arrived is compared with the digest that the share states; where they differ, "
    "nothing is recorded, and the share should be rejected.": (
        "给出 --payload 时，将收到的数据与共享所载摘要比对；不一致则不登记，应予拒收。"
    ),
    "A share with many records names a manifest, which the node fetches from the provider. If the provider is gone for "
    "good, give the references with --records-file: the file must be what the share names.": (
        "记录很多的共享只引用清单，由节点向提供方取得。若提供方已不复存在，请用 --records-file 给出记录标识；"
        "文件须与共享所引用的清单一致。"
    ),
    "References of the share's records, one per line; needed only where the provider no longer gives them.": (
        "该共享的记录标识，每行一个；仅在提供方无法再提供时需要。"
    ),
    "Reject the share, for this reason. Else it is accepted.": "以此理由拒收；默认为接收。",
    "Show a record's transfer history: who passed it to whom, when, why, and who holds it now.": (
        "显示一条记录的流转历史：谁在何时因何交给了谁，现由谁持有。"
    ),
    "The node that is asked is not believed: its evidence is verified here against the network's fingerprint. "
    "Exit code 1 when a step does not verify, or damage is reported.": (
        "不轻信所询问的节点：其证据在本机按网络指纹核验。有环节核验不通过或报告损坏时，退出码为 1。"
    ),
    "The record's identifier instead; its reference is made with the key of --config.": (
        "改用记录的原始标识；用 --config 的密钥生成记录标识。"
    ),
    "What the identifier is.": "标识的种类。",
    "Write the evidence, which suyuan verify judges offline, years later.": (
        "写出证据文件，多年后仍可用 suyuan verify 离线核验。"
    ),
    "Exit with 1 for gaps as well, and for what is not confirmed yet.": "有缺口或尚未确认的内容时也以 1 退出。",
    "Show one entry: what it says, how far it is verified, and the very text that was signed.": (
        "显示一条账目：内容、核验程度和签名原文。"
    ),
    "Where the fingerprint is known, the entry is verified here; else the node's word is repeated as what it is.": (
        "已知指纹时在本机核验该账目；否则只如实转述节点的说法。"
    ),
    "Save the proof of one entry: the entry, its place in the log, the checkpoint with its cosignatures.": (
        "保存一条账目的证明：账目、其在账本中的位置、检查点及共同签名。"
    ),
    "Where the fingerprint is known, the proof is verified before it is saved. Tools for C2SP's tlog-proof read "
    "it as well.": ("已知指纹时先核验再保存。支持 C2SP tlog-proof 的工具也能读取。"),
    "The file to write; else the proof goes to standard output.": "要写入的文件；默认输出到标准输出。",
    "Verify files offline: evidence of a record's history, proofs of single entries, network documents.": (
        "离线核验文件：流转历史的证据、单条账目的证明、网络文件。"
    ),
    "Nothing is believed but the fingerprint. Every signature, every place in a log, and every quorum is "
    "checked; exit code 1 when anything does not hold.": (
        "只相信指纹。逐一检查每个签名、每个账本位置和每个法定数量；任何一项不成立，退出码为 1。"
    ),
    "A file that accuses a log of two stories is verified when the log's own signatures convict it; exit code 6 then, "
    "whatever the other files are.": (
        "指控某账本说法不一的文件：账本自己的签名足以证实时，即核验通过；此时无论其他文件如何，退出码均为 6。"
    ),
    "The entry of a proof that does not carry it.": "证明未附带账目时，给出账目文件。",
    "Show the settings of a node. They are changed in its suyuan.toml, or by SUYUAN_<NAME> in the environment.": (
        "显示节点的设置。可在其 suyuan.toml 中修改，或用环境变量 SUYUAN_<NAME> 设定。"
    ),
    "show every setting, and where it comes from": "显示每项设置及其来源",
    "Show every setting of a node, its value in force, and where it is set: file, environment, or nowhere.": (
        "显示节点的每项设置、生效的值及其来源：文件、环境变量或默认。"
    ),
    "Record transfers that another system has logged. What was imported before is not recorded again.": (
        "登记其他系统日志中的流转。已导入过的不会重复登记。"
    ),
    "from a table of transfers": "来自流转表格",
    "from the monitoring records of X-Road security servers": "来自 X-Road 安全服务器的运行监控记录",
    "Examine a node: settings, keys, network document, store, disk, clock, the running node, its peers.": (
        "检查节点：设置、密钥、网络文件、存储、磁盘、时钟、运行状态和其他节点。"
    ),
    "With --deep, every stored byte is read, and every log verified again from its first entry: signatures, "
    "chain, tree, checkpoints, indexes. Every damage is named; nothing is changed.": (
        "用 --deep 时读取存储的每个字节，并从第一条账目起重新核验每个账本：签名、链、树、检查点、索引。逐一指出损"
        "坏，不作任何修改。"
    ),
    "Exit code 1 for problems, 6 for damage.": "有问题时退出码为 1，有损坏时为 6。",
    "Read the whole store and verify every entry again; the node must be stopped.": (
        "读取全部存储并重新核验每条账目；须先停止节点。"
    ),
    "Ask neither the node nor its peers.": "不询问本节点和其他节点。",
}
