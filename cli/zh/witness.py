"""Witnesses and trust policies in Chinese."""

MESSAGES = {
    "A proof for whoever trusts this policy (c2sp.org/tlog-policy): with foreign witnesses' cosignatures.": (
        "供信任此策略（c2sp.org/tlog-policy）者使用的证明：附外部见证方的联署。"
    ),
    "Contradiction": "自相矛盾",
    "the key for foreign logs is there": "外部账本的见证密钥齐备",
    "the policy of the foreign witnesses can be read": "外部见证方的策略可以读取",
    "Foreign log": "外部账本",
    "Foreign logs are cosigned again; {count} of them goes on from the checkpoint that was given.": (
        "恢复对外部账本的联署；其中 {count} 个从所给检查点继续。"
    ),
    "Foreign witness": "外部见证方",
    "Judge proofs by this trust policy (c2sp.org/tlog-policy) in the place of a network document.": (
        "不用网络文件，而按此信任策略（c2sp.org/tlog-policy）核验证明。"
    ),
    "Let a node cosign foreign logs again whose store was lost, or is an old copy. The node must be stopped.": (
        "存储丢失或为旧副本的节点，恢复对外部账本的联署。须先停止节点。"
    ),
    "Memory": "记忆",
    "No foreign witness is asked to cosign the own log.": "未请任何外部见证方联署本账本。",
    "Nobody gives back what the node has cosigned of foreign logs. If a log has shown it one history before and shows "
    "another one now, the node would cosign both. Get the newest checkpoint of each log that this node has cosigned, "
    "from the log or from somebody who has kept it, and give the files: the memory goes on from there. Where that "
    "cannot be had, a new key is the safer way: move keys/witness.key aside, then suyuan witness key.": (
        "节点联署过外部账本的哪些内容，无人能够归还。某账本若先后出示两种历史，节点会两者都联署。请从该账本或保存"
        "者处取得本节点联署过的最新检查点，每个账本一份，并给出文件：记忆由此继续。若无法取得，换用新密钥更为稳妥："
        "移走 keys/witness.key，再运行 suyuan witness key。"
    ),
    "Name the logs' earlier keys too; whatever they sign counts then, at any size.": (
        "也写入各账本的早先密钥；它们在任何长度上的签名此时都算数。"
    ),
    (
        "A policy cannot say where a key begins or ends. So of each log the newest key alone is named, and the earlier "
        "ones in comments: checkpoints that they have signed do not count. Ask for a newer proof of such an entry, or "
        "verify by the network document."
    ): (
        "策略无法说明密钥自何处起、至何处止，因此每个账本只写入最新的密钥，早先的写在注释中：它们签署的检查点不算数。"
        "请为此类账目取得较新的证明，或依据网络文件核验。"
    ),
    "What the logs' earlier keys sign counts under this policy, also where they had ended.": (
        "依此策略，各账本早先密钥的签名算数，即使该密钥在该处已终止。"
    ),
    (
        "Earlier keys of the logs do not count under this policy: checkpoints that they have signed take a newer "
        "proof, the network document, or --earlier-keys."
    ): "依此策略，各账本的早先密钥不算数：它们签署的检查点需要较新的证明、网络文件，或 --earlier-keys。",
    "Not every tool takes a policy of more than {count} witnesses.": "并非所有工具都接受超过 {count} 个见证方的策略。",
    "Policy satisfied at": "已满足策略的大小",
    "Print the network as a trust policy (c2sp.org/tlog-policy), for tools that know C2SP and not Suyuan.": (
        "把网络输出为信任策略（c2sp.org/tlog-policy），供了解 C2SP 而不了解溯源的工具使用。"
    ),
    "Print the public key by which this node cosigns foreign logs; make it where there is none.": (
        "输出本节点联署外部账本所用的公钥；没有时先生成。"
    ),
    "Show which foreign logs a node witnesses and how far, and which foreign witnesses cosign its own log.": (
        "显示节点见证哪些外部账本、到何处，以及哪些外部见证方联署其本账本。"
    ),
    "The active members' logs count, and as many of their cosigners as the network's quorum asks for; the owner's own "
    "cosignature is one of them. The document is verified first: FILE, --network, or the node's own.": (
        "有效成员的账本计入，联署数按网络的法定数量；账本所有者自己的联署也算一份。先核验文件：FILE、--network，"
        "或节点自己的网络文件。"
    ),
    "The key is made in {path}: back it up.": "密钥已生成于 {path}：请备份。",
    "The memory of this witness is whole; nothing was changed.": "此见证方的记忆完整；未作任何更改。",
    "The node must be stopped while it is made, for the store notes that this key has cosigned nothing yet. Give the "
    "line to whoever runs the foreign log: it is a verifier key as C2SP describes it.": (
        "生成时须停止节点，因为存储要记下此密钥尚未联署过任何内容。请把这一行交给外部账本的运营方：它是 C2SP 所述"
        "的验证密钥。"
    ),
    "This node witnesses no foreign log.": "本节点不见证任何外部账本。",
    "Verified here by the policy: {count} of its witnesses has cosigned.": (
        "已在此按策略核验：其中 {count} 个见证方已联署。"
    ),
    "Which foreign logs are witnessed is in the settings, as tables [[witnessed]] with origin and vkeys. Who witnesses "
    "the own log is in a policy file (c2sp.org/tlog-policy) that the setting witness_policy names.": (
        "见证哪些外部账本，写在设置的 [[witnessed]] 表中，含 origin 和 vkeys。谁来见证本账本，写在设置项 "
        "witness_policy 所指的策略文件（c2sp.org/tlog-policy）中。"
    ),
    "Why it is right to go on; it is stored, and logged at every start.": (
        "为何可以继续；会存储下来，并在每次启动时记入日志。"
    ),
    "Witness key": "见证密钥",
    "Witness logs outside of the network, and see who witnesses the own one.": (
        "见证网络之外的账本，并查看谁在见证本账本。"
    ),
    "cosign foreign logs on after the store was lost": "存储丢失后恢复对外部账本的联署",
    "does not cosign": "未联署",
    "lost: nothing is cosigned before suyuan witness resume": "已丢失：运行 suyuan witness resume 之前不作联署",
    "make the key that cosigns foreign logs, and print its public half": "生成联署外部账本的密钥，并输出公钥",
    "never yet": "尚未",
    "print the network as a trust policy of C2SP": "把网络输出为 C2SP 信任策略",
    "show the foreign logs and the foreign witnesses of a node": "显示节点的外部账本和外部见证方",
    "the reason has 1 to {limit} characters": "理由为 1 至 {limit} 个字符",
    "two roots for one size": "同一大小有两个根",
    "verified against what? Give --fingerprint, or --policy for proofs": (
        "以什么为依据核验？请给出 --fingerprint；核验证明也可用 --policy"
    ),
    "whole": "完整",
    "witness foreign logs, and see who witnesses the own one": "见证外部账本，并查看谁在见证本账本",
    "{entry}: in its log under the checkpoint of size {size}, which {count} witnesses of the policy have cosigned": (
        "{entry}：在其账本大小为 {size} 的检查点之下，该检查点有策略中的 {count} 个见证方联署"
    ),
    "memory_lost": "见证记忆丢失",
    "suyuan witness resume, after reading docs/operations.md: a second history could be cosigned": (
        "阅读 docs/operations.md 后运行 suyuan witness resume：否则可能联署另一种历史"
    ),
    "suyuan witness key makes it": "由 suyuan witness key 生成",
    "remove it from the settings": "请从设置中删除",
}
