"""Keys in Chinese: ``suyuan keys``, passphrases, and what can go wrong with either."""

MESSAGES = {
    "key_ended": "密钥已终止",
    "passphrase_needed": "需要口令",
    "rotation_refused": "不能公告该密钥",
    "signer_failed": "签名程序出错",
    "wrong_passphrase": "口令不符",
    "do not rely on it: whoever has a key that was given up can sign with it for ever; ask the department": (
        "请勿采信：已弃用的密钥仍可能被持有者用来签名；请询问该部门"
    ),
    "give the passphrase with which the keys were encrypted; if it is that one, restore the file from the backup": (
        "请给出加密密钥时所用的口令；若口令无误，请从备份恢复该文件"
    ),
    "see that the signing process runs and has the key; log_key, cosigner_key and transport_key name it": (
        "请确认签名程序在运行并持有该密钥；由 log_key、cosigner_key 和 transport_key 指定"
    ),
    "set SUYUAN_PASSPHRASE, or passphrase_file in the settings, or start it on a terminal, which asks for it": (
        "请设置 SUYUAN_PASSPHRASE 或 passphrase_file，或在终端中启动并按提示输入"
    ),
    "suyuan keys rotate makes a key and announces it; suyuan keys list shows which there are": (
        "suyuan keys rotate 生成并公告密钥；现有密钥见 suyuan keys list"
    ),
    "give member.json to the governors; it goes on when the network document names the new key": (
        "请把 member.json 交给治理方；网络文件写明新密钥后即可继续"
    ),
    "put the file of that key back into the folder keys, beside the others": (
        "请把该密钥文件放回文件夹 keys，与其他密钥一起"
    ),
    "list, replace and encrypt the node's secret keys": "列出、更换和加密节点的私钥",
    "show which keys there are, and which the network names": "显示有哪些密钥、网络文件写明了哪些",
    "make a new key for a role, and announce it": "为某一用途生成新密钥并公告",
    "encrypt the key files with a passphrase": "用口令加密密钥文件",
    "write the key files as they are without a passphrase": "把密钥文件还原为不加密",
    "Look after the secret keys of a node: list, replace, encrypt them.": "管理节点的私钥：列出、更换、加密。",
    "A key is replaced in three steps: the node announces a new one in its log, the governors put it into the network "
    "document, and the node, which has both, goes over to it by itself. What the old key has signed stays valid.": (
        "更换密钥分三步：节点在其账本中公告新密钥，治理方把它写入网络文件，持有新旧密钥的节点自行换用新密钥。旧密钥"
        "签过的内容仍然有效。"
    ),
    "List the keys of a node: role, key ID, from which entry on the network document names it, and where it is.": (
        "列出节点的密钥：用途、密钥编号、网络文件自哪条账目起写明、存放位置。"
    ),
    "Only public halves are shown, and no passphrase is needed. A key that the document names and that is not here has "
    'no place. "not yet" is a new key that the governors still have to name; "replaced" an older one that they named '
    "once: it signs nothing any more.": (
        "只显示公钥，无需口令。网络文件写明而本机没有的密钥没有存放位置。“尚未写明”是治理方还须写入的新密钥；“已被替换”"
        "是曾经写明的旧密钥，不再用于签名。"
    ),
    "key had ended": "密钥已终止",
    "Role": "用途",
    "Key ID": "密钥编号",
    "Algorithm": "算法",
    "In the network document": "网络文件中",
    "Encrypted": "已加密",
    "Place": "位置",
    "NOT HERE": "不在本机",
    "named": "已写明",
    "not named": "未写明",
    "not yet": "尚未写明",
    "replaced": "已被替换",
    "from entry {start} on": "自第 {start} 条起",
    "entries {start} to {last}": "第 {start} 至 {last} 条",
    "yes": "是",
    "no": "否",
    "Encrypt key files with a passphrase: all of a node's, or the governors' keys that are named.": (
        "用口令加密密钥文件：节点的全部密钥，或所列的治理方密钥。"
    ),
    "The passphrase comes from SUYUAN_PASSPHRASE, from the file that the setting passphrase_file names, or from the "
    "terminal. Without it the keys are lost: keep it apart from them, and not in one head alone.": (
        "口令取自 SUYUAN_PASSPHRASE、设置 passphrase_file 所指的文件或终端。没有口令，密钥就丢失了：口令要与密钥分开"
        "保管，也不要只记在一个人的脑中。"
    ),
    "Files that are encrypted already must open with the same passphrase. What was stored unencrypted before may still "
    "be on the disk and in backups.": "已加密的文件须能用同一口令打开。以前未加密的内容可能仍留在磁盘和备份中。",
    "Write encrypted key files as they are without a passphrase, readable by their owner alone.": (
        "把已加密的密钥文件还原为不加密，仅所有者可读。"
    ),
    "To change the passphrase, decrypt with the old one and encrypt with the new one.": (
        "更改口令：先用旧口令解密，再用新口令加密。"
    ),
    "{count} key file is encrypted.": "已加密 {count} 个密钥文件。",
    "{count} key file is decrypted.": "已解密 {count} 个密钥文件。",
    "which keys? Give --config with the node's folder, or key files": (
        "哪些密钥？请用 --config 给出节点文件夹，或给出密钥文件"
    ),
    "whose keys? Give --config with the node's folder": "谁的密钥？请用 --config 给出节点文件夹",
    "Make a new key for ROLE, announce it in the log, and write what the governors need.": (
        "为 ROLE 生成新密钥，在账本中公告，并写出治理方所需的文件。"
    ),
    "The node must run; it takes a token with the role admin. The new key is used as soon as the network document "
    "names it. Asked again, the command goes on where it was.": (
        "节点须在运行；需要 admin 角色的令牌。网络文件写明新密钥后即开始使用。再次运行此命令会从中断处继续。"
    ),
    "For the log key, the margin is the time that the governors have: from the announced entry on, the old key signs "
    "nothing any more, and the node refuses to write until the network document names the new one.": (
        "对账本密钥，余量就是留给治理方的时间：自所公告的账目起，旧密钥不再签名，在网络文件写明新密钥之前节点拒绝写入。"
    ),
    "For the log key: how many entries the old key may still sign; then the log waits for the document.": (
        "账本密钥：旧密钥还可签多少条账目；此后账本等待网络文件。"
    ),
    "The public half of a new key that is no file, but where the settings say.": (
        "新密钥的公钥；该密钥不是文件，而在设置所指之处。"
    ),
    "The file for the governors; else member.json in the node's folder.": (
        "交给治理方的文件；默认为节点文件夹中的 member.json。"
    ),
    "Announced in {entry}.": "已在 {entry} 公告。",
    "The node cosigns with the new key as soon as the network document names it; until then with the old one.": (
        "网络文件写明新密钥后，节点即用新密钥共同签名；此前仍用旧密钥。"
    ),
    "The node signs its requests to peers with the new key as soon as the network document names it.": (
        "网络文件写明新密钥后，节点即用新密钥签署发给其他节点的请求。"
    ),
    "Others seal to the new key as soon as the network document names it; the old one opens what was sealed before.": (
        "网络文件写明新密钥后，他人即用新密钥加密；此前加密的内容仍由旧密钥打开。"
    ),
    "{path} also names the {role} key that was announced before.": "{path} 还写有此前公告的 {role} 密钥。",
    "The new {role} key is made but not announced; nothing uses it yet.": (
        "新的 {role} 密钥已生成，但尚未公告；目前没有任何地方使用它。"
    ),
    "It is in {place}, and its public half is": "密钥在 {place}，其公钥为",
    "Asked again, the same command announces this key and makes no other.": (
        "再次运行同一命令会公告这个密钥，不会另行生成。"
    ),
    "It goes on when the governors readmit it with this key: suyuan network revise NETWORK --readmit {log} --at SIZE "
    "--root BASE64 --key {key}": (
        "治理方以此密钥重新接纳后方可继续：suyuan network revise NETWORK --readmit {log} --at SIZE --root BASE64 "
        "--key {key}"
    ),
    "Back up the folder {path} now: it has a new key.": "请立即备份文件夹 {path}：其中有新密钥。",
    "The new log key begins with entry {start}; until then the old one signs.": (
        "新的账本密钥自第 {start} 条起使用；此前由旧密钥签名。"
    ),
    "Next: give {path} to the governors (suyuan network revise NETWORK --replace {path}).": (
        "下一步：把 {path} 交给治理方（suyuan network revise NETWORK --replace {path}）。"
    ),
    "{path}: a new secret key": "{path}：新的私钥",
    "the {role} key is no file of the folder: make the new one where it lives, and give --key": (
        "{role} 密钥不是文件夹中的文件：请在其所在之处生成新密钥，并用 --key 给出"
    ),
    "Passphrase of {path}": "{path} 的口令",
    "New passphrase for {path}": "{path} 的新口令",
    "The same again": "再输入一次",
    "Encrypt the secret keys with a passphrase.": "用口令加密私钥。",
    "Encrypt the keys that are made with a passphrase.": "用口令加密所生成的密钥。",
    "Where the keys are encrypted, the passphrase comes from SUYUAN_PASSPHRASE, from the file that the setting "
    "passphrase_file names, or from the terminal.": (
        "密钥已加密时，口令取自 SUYUAN_PASSPHRASE、设置 passphrase_file 所指的文件或终端。"
    ),
    "all five keys are there, and encrypted; no passphrase is given, so they were not opened": (
        "五个密钥齐全且已加密；未给出口令，故未打开检查"
    ),
    "no entry is signed by a key that had ended": "没有账目由已终止的密钥签名",
    "those entries are void; ask the governors how the log goes on, and keep the folder as it is": (
        "这些账目无效；请询问治理方账本如何继续，并保持文件夹原样"
    ),
}
