// A stock verifier: Go's own note and tlog packages (golang.org/x/mod/sumdb) judge what a node of ours serves.
//
// Standard input is one JSON object, see the struct below; standard output says what was verified. Any failure ends with status 1.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	LogKey      string   `json:"log_key"`
	Cosigners   []string `json:"cosigners"`
	Old         string   `json:"old"`
	New         string   `json:"new"`
	Consistency []string `json:"consistency"`
	Proofs      []struct {
		Index  int64    `json:"index"`
		Entry  string   `json:"entry"`
		Hashes []string `json:"hashes"`
	} `json:"proofs"`
	Entries  []string `json:"entries"`
	Policies []struct {
		Policy     string `json:"policy"`
		Checkpoint string `json:"checkpoint"`
		Good       bool   `json:"good"`
	} `json:"policies"`
}

// cosigner verifies Ed25519 cosignatures (c2sp.org/tlog-cosignature), which x/mod does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	return ed25519.Verify(c.key, []byte(fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, msg)), sig[8:])
}

func newCosigner(vkey string) cosigner {
	parts := strings.SplitN(vkey, "+", 3)
	data := decode(parts[2])
	if data[0] != 4 {
		log.Fatalf("%s is no cosigner's key", vkey)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), data...))
	return cosigner{parts[0], binary.BigEndian.Uint32(sum[:]), ed25519.PublicKey(data[1:])}
}

func decode(text string) []byte {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	check(err)
	return data
}

func hashes(texts []string) []tlog.Hash {
	var found []tlog.Hash
	for _, text := range texts {
		var hash tlog.Hash
		copy(hash[:], decode(text))
		found = append(found, hash)
	}
	return found
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func open(text string, known note.Verifiers) (tlog.Tree, int) {
	opened, err := note.Open([]byte(text), known)
	check(err)
	lines := strings.Split(opened.Text, "\n")
	var tree tlog.Tree
	_, err = fmt.Sscanf(lines[1], "%d", &tree.N)
	check(err)
	copy(tree.Hash[:], decode(lines[2]))
	return tree, len(opened.Sigs)
}

// satisfies judges a checkpoint by a policy file (c2sp.org/tlog-policy); a file that breaks its rules ends the program.
func satisfies(policy, checkpoint string) bool {
	var verifiers []note.Verifier
	logs := map[string]bool{}              // hashes of log keys
	witnesses := map[string]note.Verifier{} // by name
	type group struct {
		name    string
		least   int
		members []string
	}
	var groups []group
	quorum := ""
	for _, line := range strings.Split(policy, "\n") {
		items := strings.Fields(line)
		if len(items) == 0 || strings.HasPrefix(items[0], "#") {
			continue
		}
		switch items[0] {
		case "log":
			key, err := note.NewVerifier(items[1])
			check(err)
			verifiers = append(verifiers, key)
			logs[fmt.Sprint(key.Name(), key.KeyHash())] = true
		case "witness":
			key := newCosigner(items[2])
			verifiers = append(verifiers, key)
			witnesses[items[1]] = key
		case "group":
			least, err := strconv.Atoi(items[2])
			if items[2] == "any" {
				least, err = 1, nil
			} else if items[2] == "all" {
				least, err = len(items)-3, nil
			}
			check(err)
			groups = append(groups, group{items[1], least, items[3:]})
		case "quorum":
			quorum = items[1]
		default:
			log.Fatalf("%s begins no line of a policy", items[0])
		}
	}
	opened, err := note.Open([]byte(checkpoint), note.VerifierList(verifiers...))
	if err != nil {
		return false
	}
	origin := strings.Split(opened.Text, "\n")[0]
	signed := map[string]bool{}
	byLog := false
	for _, signature := range opened.Sigs {
		signed[fmt.Sprint(signature.Name, signature.Hash)] = true
		byLog = byLog || signature.Name == origin && logs[fmt.Sprint(signature.Name, signature.Hash)]
	}
	witnessed := map[string]bool{"none": true}
	for name, key := range witnesses {
		witnessed[name] = signed[fmt.Sprint(key.Name(), key.KeyHash())]
	}
	for _, one := range groups {
		count := 0
		for _, member := range one.members {
			if witnessed[member] {
				count++
			}
		}
		witnessed[one.name] = count >= one.least
	}
	return byLog && witnessed[quorum]
}

func main() {
	var in input
	check(json.NewDecoder(os.Stdin).Decode(&in))
	key, err := note.NewVerifier(in.LogKey)
	check(err)
	verifiers := []note.Verifier{key}
	for _, vkey := range in.Cosigners {
		verifiers = append(verifiers, newCosigner(vkey))
	}
	known := note.VerifierList(verifiers...)
	oldTree, _ := open(in.Old, known)
	newTree, signatures := open(in.New, known)
	check(tlog.CheckTree(hashes(in.Consistency), newTree.N, newTree.Hash, oldTree.N, oldTree.Hash))
	for _, proof := range in.Proofs {
		check(tlog.CheckRecord(hashes(proof.Hashes), newTree.N, newTree.Hash, proof.Index, tlog.RecordHash(decode(proof.Entry))))
	}
	for _, entry := range in.Entries {
		_, err := note.Open(decode(entry), note.VerifierList(key))
		check(err)
	}
	for number, one := range in.Policies {
		if satisfies(one.Policy, one.Checkpoint) != one.Good {
			log.Fatalf("policy %d is judged otherwise", number)
		}
	}
	fmt.Printf("sizes %d to %d, %d signatures, %d inclusion proofs, %d entries, %d policies\n",
		oldTree.N, newTree.N, signatures, len(in.Proofs), len(in.Entries), len(in.Policies))
}
