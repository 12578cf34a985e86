"""The importers in Chinese."""

MESSAGES = {
    # suyuan import: options and help.
    "A department's node folder; repeat it for departments that are operated together.": (
        "部门节点的文件夹；由同一方运维的多个部门可重复给出。"
    ),
    "The node's address, once for each --config.": "节点地址，与各 --config 一一对应。",
    "The token, once for each --config; others can read it in the list of processes.": (
        "令牌，与各 --config 一一对应；他人可在进程列表中看到。"
    ),
    "A file with the token, readable by you alone, once for each --config in the same order.": (
        "存放令牌的文件，仅本人可读，按相同顺序与各 --config 一一对应。"
    ),
    "Authority that signed the nodes' certificates (PEM).": "签发节点证书的机构（PEM）。",
    "Whose log a name of the file means: TOML, or CSV with name,origin.": (
        "文件中的名称对应谁的账本：TOML，或含 name,origin 两列的 CSV。"
    ),
    "Keep looking for shares of other departments for so many seconds.": "在这么多秒内继续等候其他部门的共享。",
    "Read and check everything, ask no node, record nothing.": "只读取并检查，不询问节点，不作任何记录。",
    "What the calls were for: X-Road logs none. [purposes] in --map says it by service.": (
        "调用的用途：X-Road 不记录用途。可在 --map 的 [purposes] 中按服务给出。"
    ),
    "Record a department's side of the transfers in a table.": "把表格中的流转按本部门一方记入账本。",
    "The columns record, provider, consumer and occurred_at must be there; further ones become members of the share or "
    "labels, and with them part of the ledger, which every member reads: leave out what identifies a person.": (
        "须有 record、provider、consumer、occurred_at 四列；其余各列成为共享的成员项或标签，"
        "随之进入所有成员都能读到的账本：请去掉能识别个人的内容。"
    ),
    "Rows whose provider is this department become shares, rows whose consumer it is receipts. A receipt needs the "
    "provider's share; where that has not arrived, run the same import again later. Importing a file again records "
    "nothing twice.": (
        "提供方是本部门的行成为共享，使用方是本部门的行成为接收。接收须以提供方的共享为前提；"
        "共享尚未到达时，请稍后再次导入。重复导入同一文件不会重复记录。"
    ),
    "Record calls from the operational monitoring records of X-Road's security servers.": (
        "把 X-Road 安全服务器运行监控记录中的调用记入账本。"
    ),
    "The service's member is the provider of the data, the client's member the consumer. The two records of a call, "
    "one of each side's security server, are put together; a succeeded call becomes a share and a receipt, one whose "
    "client failed after the data had left a share and a rejection. Calls of which one side is missing are listed.": (
        "服务所属成员为数据提供方，客户端所属成员为使用方。每次调用在双方安全服务器上各有一条记录，两者合并；"
        "成功的调用成为一次共享和一次接收，数据发出后客户端失败的成为一次共享和一次拒收。缺少一方记录的调用会列出。"
    ),
    "Addresses, represented parties and paths are not read; messageUserId only becomes a keyed pseudonym.": (
        "不读取地址、被代表方和路径；messageUserId 只转为带密钥的假名。"
    ),
    # What it says.
    "give {option} once for each --config, in the same order": "{option} 须按相同顺序与各 --config 一一对应",
    "reading": "正在读取",
    "recording": "正在记录",
    "run the same import again: nothing is recorded twice": "请再次运行同一导入：不会重复记录",
    "duplicates": "重复记录",
    "failed before they were identified": "尚未识别即失败",
    "of other departments": "属于其他部门",
    "within a department": "部门内部",
    "failed, no data left": "失败，数据未发出",
    "one side missing": "缺少一方",
    "columns kept as labels": "保留为标签的列",
    "none": "无",
    "shares": "共享",
    "receipts": "接收",
    "waiting": "等待中",
    "{count} to be recorded": "待记录 {count}",
    "{made} recorded, {there} there already": "已记录 {made}，此前已有 {there}",
    "Waiting: run the same import again when the other department has told its side": (
        "等待中：待另一部门记入其一方后，请再次运行同一导入"
    ),
    "Refused": "不予受理",
    "Names that lead to no member of the network (give --map)": "不对应任何成员的名称（请给出 --map）",
    "Nothing was recorded, and no node was asked.": "未作任何记录，也未询问任何节点。",
    "Files that cannot be used: nothing was recorded": "无法使用的文件：未作任何记录",
    "Calls of which one side is missing": "缺少一方记录的调用",
    "the client's side": "缺少客户端一方",
    "the provider's side": "缺少提供方一方",
    # Errors.
    "bad_transfers": "不是流转表格",
    "bad_map": "对应表不可用",
    "bad_xroad_file": "文件无法读完",
    "bad_xroad_record": "记录不可用",
    "unknown_name": "名称不对应任何成员",
    "not_that_share": "不是同一次共享",
    "ambiguous_share": "无法确定是哪次共享",
    "source_refused": "所依据的共享未受理",
    "no_purpose": "没有用途",
    "contradiction": "双方记录矛盾",
    "the first line names the columns: record,provider,consumer,occurred_at and whatever is to be carried along": (
        "首行为列名：record,provider,consumer,occurred_at，以及其他要一并记录的列"
    ),
    'a map is TOML, [members] with "name" = "origin" and [purposes] with "name" = "purpose"; or CSV, name,origin': (
        '对应表为 TOML：[members] 中写 "名称" = "账本"，[purposes] 中写 "名称" = "用途"；或为 CSV：name,origin'
    ),
    "export the records anew: a JSON list, or one JSON object per line": (
        "请重新导出记录：一个 JSON 列表，或每行一个 JSON 对象"
    ),
    "export the records anew with all their fields (getSecurityServerOperationalData without outputSpec)": (
        "请重新导出含全部字段的记录（getSecurityServerOperationalData 不带 outputSpec）"
    ),
    "say in a map (--map) whose log it is": "请在对应表（--map）中说明它是谁的账本",
    "the two sources disagree about this transfer: compare them": "双方来源对这次流转说法不一：请核对",
    "give record references instead of local identifiers, or answer these shares with suyuan receive": (
        "请给出记录标识而不是本地编号，或用 suyuan receive 逐一应答这些共享"
    ),
    "see why that share was refused": "请查看那次共享为何未受理",
    "give --purpose, or the purpose of each service in the table [purposes] of --map": (
        "请给出 --purpose，或在 --map 的 [purposes] 表中给出各服务的用途"
    ),
    "ask both operators for the logs of their security servers": "请向双方运维方索取其安全服务器的日志",
}
