"""Changing the network in Chinese: what revise, diff and adopt say, with their help."""

MESSAGES = {
    # Help.
    "make the key of a governor who is to join": "为将要加入的治理方生成密钥",
    "The file for the secret key; it is never replaced.": "私钥文件；从不覆盖。",
    "Make the key of a governor called NAME, who is to join those of a network.": (
        "为名为 NAME 的治理方生成密钥，该治理方将加入网络的治理方。"
    ),
    "The secret half stays in its file, with the governor alone. The public half is printed: give it to the "
    "governors.": ("私钥留在文件中，只由该治理方保管。公钥会显示出来：请交给治理方。"),
    "Next: give the line above to the governors: suyuan network revise NETWORK --add-governor FILE": (
        "下一步：把上一行交给治理方：suyuan network revise NETWORK --add-governor FILE"
    ),
    "draft the next version: members, keys, governors, rules": "起草下一版本：成员、密钥、治理方、规则",
    "show what a version changes, before it is signed": "显示某一版本改动了什么，签署前阅读",
    "have a node act under a new version": "让节点按新版本运行",
    "Draft the next version of a network from the newest signed one, with any mix of changes.": (
        "由最新的已签署版本起草网络的下一版本，可同时作多项改动。"
    ),
    "What changes is told in words, and what is risky about it. Nothing counts before enough governors have signed, "
    "of the version before and of the new one.": (
        "以文字说明改动及其风险。须有足够多的前一版本治理方和新版本治理方签署，方可生效。"
    ),
    "New member: what suyuan init has written.": "新成员：由 suyuan init 生成的文件。",
    "New keys, names or address of a member.": "成员的新密钥、名称或地址。",
    "Stop a member for a time.": "暂停某成员。",
    "Make a suspended member active again.": "恢复已暂停的成员。",
    "End a membership for good.": "永久终止成员资格。",
    "A member's new address.": "成员的新地址。",
    "Let a log go on that has told two stories: with --at, --root, --key.": (
        "让说法不一的账本得以继续：与 --at、--root、--key 同用。"
    ),
    "Up to this size its history stands.": "其历史在此长度以内有效。",
    "Root of the history that stands.": "有效历史的根。",
    "The new log key, from that size on.": "自该长度起的新账本密钥。",
    "New governor: public key, or the file of a key.": "新治理方：公钥，或密钥文件。",
    "Governor who leaves: name, or public key.": "退出的治理方：名称或公钥。",
    "How many governors must sign from then on.": "此后须签署的治理方数量。",
    "How many members may fail or lie; default: less than a third.": (
        "允许失效或作假的成员数；default 表示少于三分之一。"
    ),
    "The draft; else beside the signed document, FILE.draft.": "草稿；默认为已签署文件同目录的 FILE.draft。",
    "Show what the newest version in the file NEW, a draft or signed, changes against the newest one in OLD.": (
        "显示文件 NEW 中的最新版本（草稿或已签署）相对于 OLD 中最新版本的改动。"
    ),
    "With one file: against the version before it. Read it before you sign. No signature back to the fingerprint is "
    "judged here; suyuan network verify does that.": (
        "只给一个文件时，与其前一版本比较。签署前请先阅读。此处不核验直至指纹的签名，核验请用 suyuan network verify。"
    ),
    "Have a node act under the newest version in FILE, which its governors have signed.": (
        "让节点按 FILE 中由治理方签署的最新版本运行。"
    ),
    "A running node is told with a token of the role admin. One node is enough: it tells the others, each of which "
    "verifies every version itself. Where the node of --config does not run, the document is put into its folder.": (
        "对运行中的节点须用角色为 admin 的令牌。告知一个节点即可：它会转告其他节点，各节点自行核验每个版本。"
        "--config 的节点未运行时，文件放入其文件夹。"
    ),
    "Other changes of a signed document: suyuan network revise.": "对已签署文件的其他改动：suyuan network revise。",
    "Sign a draft as a governor: read it first, suyuan network diff NETWORK DRAFT.": (
        "以治理方身份签署草稿。签署前请先阅读：suyuan network diff NETWORK DRAFT。"
    ),
    "What the version changes is told, and what is risky about it.": "会说明该版本的改动及其风险。",
    # What is refused.
    "--readmit, --at, --root and --key belong together": "--readmit、--at、--root 和 --key 须同时给出",
    "{value} is no new address: write it as ORIGIN=URL": "{value} 不是新地址：请写作 ORIGIN=URL",
    "{path} holds one version only: give a second file": "{path} 只有一个版本：请再给出一个文件",
    "network {new} is not network {old}": "网络 {new} 不是网络 {old}",
    "this is a draft: give the file of signed versions that it follows": "这是草稿：请给出它所接续的已签署版本的文件",
    "{log} is a member already; to change it: --replace": "{log} 已是成员；要改动请用 --replace",
    "{log} is readmitted from {size} on already; a ruling is never moved back": (
        "{log} 已裁定自 {size} 起重新接纳；裁定不得前移"
    ),
    "the newest log key of {log} begins at {size}; --at must be larger": (
        "{log} 的最新账本密钥自 {size} 起；--at 须更大"
    ),
    "the newest log key of {log} has ended at {size}: give that with --at": (
        "{log} 的最新账本密钥已止于 {size}：请用 --at 给出该数"
    ),
    "{log} is so already": "{log} 本来如此",
    "the membership of {log} is {status}: that cannot be done with it": "{log} 的成员资格为{status}，不能这样改动",
    "two changes of {log} do not go together: ask for one of them": "对 {log} 的两项改动不能同时进行：请只做一项",
    "version {version} has no member {name}": "第 {version} 版没有成员 {name}",
    "{name} governs already": "{name} 已是治理方",
    "nobody named {name} governs this network": "此网络没有名为 {name} 的治理方",
    "several governors are named {name}: give the whole public key": "有多个治理方名为 {name}：请给出完整公钥",
    "{needed} governors must sign, and there would be {count}: give --threshold": (
        "须有 {needed} 个治理方签署，而届时只有 {count} 个：请给出 --threshold"
    ),
    "{option} says what is so already": "{option} 所说的本来如此",
    "nothing is to be changed: --help lists what can be": "没有要改动的内容：可改动的见 --help",
    # What changes.
    "Network {name}, version {before} → {after}": "网络 {name}，第 {before} 版 → 第 {after} 版",
    "The network": "整个网络",
    "nothing is changed": "没有改动",
    "new member at {url}, log key {key}": "新成员，地址 {url}，账本密钥 {key}",
    "TAKEN OUT: a member is ended, never taken out": "被移除：成员只能终止，不得移除",
    "suspended: its cosignatures do not count, its log does not go on": "暂停：其共同签名不计，其账本不再继续",
    "active again": "恢复有效",
    "ended for good: its log does not go on; what it has signed stays verifiable": (
        "永久终止：其账本不再继续；已签名的内容仍可核验"
    ),
    "active again, though it had ended": "恢复有效，尽管此前已终止",
    "suspended, though it had ended": "暂停，尽管此前已终止",
    "readmitted: its history up to entry {last} is the one with root {root}; what the old key signed from {size} on "
    "is void": ("重新接纳：其历史直至账目 {last} 以根 {root} 为准；旧密钥自 {size} 起所签的一律无效"),
    "new log key {key}, for entries from {start} on": "新账本密钥 {key}，用于自 {start} 起的账目",
    "log key {key} ends: not for entries from {until} on": "账本密钥 {key} 终止：不用于自 {until} 起的账目",
    "ANOTHER log key {key} for entries from {start} on": "自 {start} 起的账目改用另一账本密钥 {key}",
    "the log key for entries from {start} on is TAKEN OUT": "自 {start} 起的账目的账本密钥被移除",
    "address: {before} → {after}": "地址：{before} → {after}",
    "name in Chinese: {before} → {after}": "中文名称：{before} → {after}",
    "name in English: {before} → {after}": "英文名称：{before} → {after}",
    "code of the organisation: {before} → {after}": "机构代码：{before} → {after}",
    "level of administration: {before} → {after}": "行政层级：{before} → {after}",
    "region: {before} → {after}": "行政区划：{before} → {after}",
    "roles: {before} → {after}": "角色：{before} → {after}",
    "cosigner key: {before} → {after}": "共同签名密钥：{before} → {after}",
    "transport key: {before} → {after}": "传输密钥：{before} → {after}",
    "sealing key: {before} → {after}": "密封密钥：{before} → {after}",
    "new governor {name}, key {key}": "新治理方 {name}，公钥 {key}",
    "{name} governs no longer, key {key}": "{name} 不再是治理方，公钥 {key}",
    "governors who must sign: {before} of {all_before} → {after} of {all_after}": (
        "须签署的治理方：{all_before} 个中的 {before} 个 → {all_after} 个中的 {after} 个"
    ),
    "how many may fail or lie: less than a third of the active members": "允许失效或作假：少于有效成员的三分之一",
    "how many may fail or lie: {count}, as the governors say": "允许失效或作假：{count} 个，由治理方规定",
    "anyone may read the logs": "任何人可读取账本",
    "only members may read the logs": "仅成员可读取账本",
    "table of rules: {before} → {after}": "规则表：{before} → {after}",
    "members": "成员",
    "active members": "有效成员",
    "must cosign": "须共同签名",
    "may fail or lie": "允许失效或作假",
    "Who must sign": "须由谁签署",
    "{threshold} of {count} governors of version {version}: {names}": (
        "第 {version} 版 {count} 个治理方中的 {threshold} 个：{names}"
    ),
    "signed by {names}": "已签署：{names}",
    "{count} is missing": "还差 {count} 个",
    "; ": "；",
    # What is risky.
    "Think of this before you sign": "签署前请考虑",
    "version {after} does not name this version {before} as the one before it": (
        "第 {after} 版未以此第 {before} 版为前一版本"
    ),
    "no member is active: nothing can be confirmed any more": "没有有效成员：无法再确认任何内容",
    "fewer members are active: {before} → {after}": "有效成员减少：{before} → {after}",
    "all {count} must cosign: while one is down, nothing is confirmed": (
        "{count} 个成员须全部共同签名：只要有一个停机，就无法确认"
    ),
    "fewer members may fail or lie than before: {before} → {after}": "允许失效或作假的成员减少：{before} → {after}",
    "when {faults} of {count} members are down, nothing is confirmed": (
        "{count} 个成员中有 {faults} 个停机时，就无法确认"
    ),
    "a quorum of version {before} and one of version {after} need not share an honest member: change fewer members "
    "at a time": ("第 {before} 版与第 {after} 版的法定数量之间可能没有共同的诚实成员：请每次少改几个成员"),
    "{log} is not there any more: no node will take this": "{log} 已不在其中：任何节点都不会接受",
    "{log} ends for good: it cannot be made active again": "{log} 永久终止：不能再恢复",
    "{log}: what its old log key signs from entry {until} on counts nowhere": (
        "{log}：旧账本密钥自账目 {until} 起所签的一律不算"
    ),
    "{log}: check size and root of the ruling with what the members hold": (
        "{log}：请将裁定的长度和根与各成员所存的核对"
    ),
    "{log}: its cosignatures count again when its node has the new key": (
        "{log}：其节点换用新密钥后，共同签名才重新计入"
    ),
    "all {count} governors must sign: with one key lost, the document can never be changed again": (
        "{count} 个治理方须全部签署：丢失任一密钥，网络文件就再也无法改动"
    ),
    "each governor alone can change the network": "任一治理方均可单独改动网络",
    "all governors are replaced at once": "治理方一次全部更换",
    "whoever has read the logs cannot be made to forget them": "读过账本的人无法再忘掉其内容",
    # Next steps, and what has become of it.
    "Next: the governors sign it: suyuan network sign {draft} --key FILE --out {network}": (
        "下一步：由治理方签署：suyuan network sign {draft} --key FILE --out {network}"
    ),
    "Next: give it to one running node: suyuan network adopt {path} --config DIR": (
        "下一步：交给一个运行中的节点：suyuan network adopt {path} --config DIR"
    ),
    "The node acts under version {version} already; the file has no newer one than {given}.": (
        "节点已按第 {version} 版运行；该文件中最新的是第 {given} 版。"
    ),
    "The node acts under version {version} already.": "节点已按第 {version} 版运行。",
    "The node acts under version {version}; before it was version {was}.": (
        "节点按第 {version} 版运行；此前为第 {was} 版。"
    ),
    "One node is enough: it hands the document on, and suyuan peers shows who has it.": (
        "告知一个节点即可：它会转交文件，谁已收到可用 suyuan peers 查看。"
    ),
    "The node does not run: version {version} is in its folder, in the place of version {was}, and counts from its "
    "next start on.": ("节点未运行：第 {version} 版已放入其文件夹，取代第 {was} 版，自下次启动起生效。"),
    "It hands the document on to the others when it runs.": "节点运行后会把文件转交其他节点。",
    # The network document on the screen.
    "Log keys, and the entries that each may sign": "账本密钥及其可签的账目",
    "Key": "密钥",
    "First entry": "首条账目",
    "Last entry": "末条账目",
    "on": "至今",
    "{log} was readmitted: its history up to size {size} is the one with root {root}": (
        "{log} 已重新接纳：其历史在长度 {size} 以内以根 {root} 为准"
    ),
    "All versions": "全部版本",
    "Active members": "有效成员",
    "{count} of {all}": "{all} 个中的 {count} 个",
}
