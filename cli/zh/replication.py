"""How logs spread and grow, in Chinese: suyuan peers, logs, log history, and what doctor says of freshness."""

MESSAGES = {
    "A node keeps the first confirmed checkpoint of each minute for an hour, of each hour for two days, of each day "
    "for a month, and of each month for ever. Where the fingerprint is known, every quorum is counted here.": (
        "节点保留的已确认检查点：一小时内每分钟第一个，两天内每小时第一个，一个月内每天第一个，此后每月第一个，"
        "永久保留。已知指纹时，每个法定数量都在本机清点。"
    ),
    "Every quorum is counted here. No two of them can be of different histories.": (
        "每个法定数量都在本机清点。其中任何两个都不可能出自不同的历史。"
    ),
    "Every quorum is counted here; sizes beyond it, and that there is nothing newer, are the node's word.": (
        "每个法定数量都在本机清点；超出部分的长度，以及没有更新的内容，只凭节点所述。"
    ),
    "Exit code 1 when one of them does not verify, 6 when an integrity alarm is raised about the log.": (
        "其中有核验不通过的，退出码为 1；该账本有完整性告警，退出码为 6。"
    ),
    "An integrity alarm is raised about {log}: {alarm}": "{log} 有完整性告警：{alarm}",
    "Exit code 1 when what the node calls confirmed is not, 6 when an integrity alarm is raised about a log.": (
        "节点称已确认而实际并非如此，退出码为 1；某账本有完整性告警，退出码为 6。"
    ),
    "Grown by": "增长",
    "Key": "密钥",
    "Look at one log; suyuan logs shows them all.": "查看一个账本；全部账本见 suyuan logs。",
    "Newest; vouched for (UTC)": "最新账目；最近担保（UTC）",
    "Root": "根",
    "Show all checkpoints that the node keeps, not the newest 20.": "显示节点保留的全部检查点，而不只是最新的 20 个。",
    "Show how a log has grown: its confirmed checkpoints, when and by whom they were cosigned, and its keys.": (
        "显示一个账本的增长：已确认的检查点、何时由谁共同签名，以及它的密钥。"
    ),
    "Show the members' logs as the node has them: how long, how far confirmed, and when the quorum last vouched.": (
        "显示节点所存的各成员账本：长度、确认到何处，以及法定数量的成员最近一次担保的时间。"
    ),
    "Vouched for (UTC)": "担保时间（UTC）",
    "Where the fingerprint is known, every quorum is counted here, from the network document; else the node's word is "
    "repeated as what it is.": ("已知指纹时，每个法定数量都按网络文件在本机清点；否则只转述节点的说法。"),
    "is the owner's node down, or kept from its peers? Ask the member": (
        "所属节点是否停机，或与其他节点隔绝？请询问该成员"
    ),
    "look at one log: how it has grown": "查看一个账本：增长过程",
    "no quorum has vouched for long for {logs}": "法定数量的成员已很久没有担保：{logs}",
    "no quorum has vouched for this log yet": "法定数量的成员尚未担保过本账本",
    "quorums vouch for every log, for this one at {time}": "每个账本都有法定数量的成员担保，本账本最近于 {time}",
    "show how a log has grown, and under which keys": "显示账本如何增长、使用哪些密钥",
    "{count} earlier checkpoints are kept; --all shows them.": "另存有 {count} 个更早的检查点；用 --all 显示。",
    "{key}, from entry {first} on": "{key}，自账目 {first} 起",
    "{key}, entries {first} to {last}": "{key}，账目 {first} 至 {last}",
    "Acts under": "所依版本",
    "version {version} of the network document, from entry {first} on, as the node says": (
        "网络文件第 {version} 版，自账目 {first} 起（节点所述）"
    ),
    "Catching up": "正在追赶",
    "DIFFERS": "不一致",
    "This node acts under version {version} of the network document.": "本节点依网络文件第 {version} 版运行。",
    "version unknown": "版本未知",
    "version {version}": "第 {version} 版",
    "version {version}, older": "第 {version} 版，较旧",
    "version {version}, newer": "第 {version} 版，较新",
    "Exit code 1 when a peer shows another history than the node.": "有节点出示的历史与本节点不同时，退出码为 1。",
    "Histories": "各账本历史",
    "History": "历史",
    "Lag": "落后",
    "Lag is how many entries the node has and the peer has not; a peer agrees when its root at the smaller of both "
    "sizes is the node's. All of it is what peers say of themselves, and what the node makes of it.": (
        "落后是本节点有而对方没有的账目数；在两者较小的长度上，对方的根与本节点的根相同，即为一致。以上均为各节点自述及本"
        "节点的判断。"
    ),
    "Last (UTC)": "最近一次（UTC）",
    "Rate": "速率",
    "Seen": "多久前",
    "Show every log at every peer, one character each.": "显示每个账本在每个节点上的情况，各占一个字符。",
    "Show how every peer holds this log.": "显示各节点所存的这个账本。",
    "Show this peer: every log there, and what it did wrong.": "显示这个节点：其上的每个账本，以及它的过失。",
    "Show what the node sees of its peers: who answers, how far each is with every log, and whether histories agree.": (
        "显示节点所见的其他节点：谁有应答、各账本到了何处、历史是否一致。"
    ),
    "Since": "已用时",
    "Then": "当时情形",
    "Times": "次数",
    "What it did wrong": "过失",
    "ahead": "超前",
    "answer compressed": "应答被压缩",
    "answer malformed": "应答格式不符",
    "answer too long": "应答过长",
    "behind": "落后",
    "does not verify": "核验不通过",
    "give one of --log, --peer and --all": "--log、--peer、--all 只能给出一个",
    "no connection": "无法连接",
    "same": "一致",
    "shows an old head": "出示过时的头",
    "the node knows no {log}; suyuan network show lists the members": ("节点不认识 {log}；成员见 suyuan network show"),
    "too slow": "过慢",
    "unknown": "未知",
    "withholds entries": "扣留账目",
    "{count} d": "{count} 天",
    "{count} h": "{count} 小时",
    "{count} min": "{count} 分",
    "{count} s": "{count} 秒",
    "{count}/s": "{count}/秒",
    "{log}: not here": "{log}：此处没有",
    "{log}: {count} entry here": "{log}：此处有 {count} 条账目",
}
