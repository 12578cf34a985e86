"""The demonstration in Chinese."""

MESSAGES = {
    "Play the transfers of a CSV file.": "回放 CSV 文件中的流转记录。",
    "Keep network, keys and data in this new folder.": "把网络、密钥和数据保存在这个新文件夹中。",
    "Keep the network running until interrupted, and print one JSON line per node.": (
        "网络一直运行到被中断为止，并为每个节点输出一行 JSON。"
    ),
    "Print the summary as JSON (schema suyuan.demo/1).": "以 JSON 输出汇总（格式 suyuan.demo/1）。",
    "Show what Suyuan does: four departments share a record, on this machine, with real nodes.": (
        "演示溯源：四个部门在本机用真实节点共享一条数据。"
    ),
    "Makes a network, starts its nodes, plays transfers, waits until they are confirmed, traces a record, ver"
    "ifies it offline, shows that a tampered copy is found out, and stops everything.": (
        "组建网络、启动节点、演示流转、等待确认、追溯一条数据、离线验证、证明被篡改的副本会被发现，最后停止全部节点。"
    ),
    "With --from it plays the transfers of a file instead, one node for each department that the file names. "
    "The file has the columns record, provider, consumer, occurred_at; further ones are carried along.": (
        "使用 --from 时改为回放文件中的流转，文件中的每个部门各有一个节点。文件须有 record、provider、consumer、o"
        "ccurred_at 四列，其余各列一并记录。"
    ),
    "one resident's record": "一位居民的记录",
    "a demonstration: {what}": "演示：{what}",
    "Making a network of {count} departments, each with its own keys and its own node …": (
        "正在组建 {count} 个部门的网络，每个部门各有密钥和节点……"
    ),
    "{count} nodes are running, {seconds:.1f} s": "{count} 个节点已运行，用时 {seconds:.1f} 秒",
    "the network's fingerprint is {print}": "网络指纹为 {print}",
    "share {place}, signed by the provider": "共享 {place}，提供方已签名",
    "receipt {place}, signed by the consumer": "接收 {place}，使用方已签名",
    "received": "已接收",
    "rejected: the file arrived damaged": "已拒收：文件到达时已损坏",
    "all {count} entries are confirmed: every node has verified and stored them": (
        "全部 {count} 条记录已确认：每个节点都已验证并保存"
    ),
    "Where did the record go? (suyuan trace {record}…)": "这条数据去了哪里？（suyuan trace {record}…）",
    "… and {count} more": "……另有 {count} 次",
    "It is held now by: {names}": "现由以下部门持有：{names}",
    "Is that true? (suyuan verify {file}, offline, no node asked)": (
        "属实吗？（suyuan verify {file}，离线验证，不询问任何节点）"
    ),
    "{count} entries, each signed, in a checkpoint that {members} members cosigned ({needed} needed)": (
        "{count} 条记录：均有签名，均收录于由 {members} 个成员联署的检查点（需要 {needed} 个）"
    ),
    "And if somebody changes one letter of it?": "如果有人改动其中一个字母呢？",
    "the purpose of {share} changed by one letter: found out ({code})": (
        "{share} 的用途被改动一个字母：已被发现（{code}）"
    ),
    "shared": "已共享",
    "confirmed everywhere": "各节点均已确认",
    "{rows} transfers of {records} records, confirmed on all {nodes} nodes, {seconds:.1f} s": (
        "{records} 条数据的 {rows} 次流转：已共享、已接收，并在全部 {nodes} 个节点确认，用时 {seconds:.1f} 秒"
    ),
    "kept in {folder}: nodes, records.json, network.note, network.fingerprint": (
        "已保存在 {folder}：nodes、records.json、network.note、network.fingerprint"
    ),
    "{shares} of {rows} shared, {receipts} received, {confirmed} confirmed": (
        "共 {rows} 次：已共享 {shares}，已接收 {receipts}，各节点均已确认 {confirmed}"
    ),
    "accepted": "已接收",
    "rejected": "已拒收",
    "awaiting": "等待接收",
}
