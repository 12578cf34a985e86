// Appends the lines of a file to a new hypercore, in batches, and says how long it took.
//     node append.js FOLDER LINES BATCH
// hypercore itself does not wait for the disk; so that the promise is the same as ours, the journal of its database is
// synced here after every batch, before the next one.
'use strict'
const Hypercore = require('hypercore')
const { lines, syncer } = require('./common.js')

async function main () {
  const [folder, file, batch] = process.argv.slice(2)
  const blocks = lines(file)
  const core = new Hypercore(folder)
  await core.ready()
  const sync = syncer(folder)
  const start = process.hrtime.bigint()
  for (let first = 0; first < blocks.length; first += Number(batch)) {
    await core.append(blocks.slice(first, first + Number(batch)))
    sync()
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  console.log(JSON.stringify({ blocks: core.length, seconds, syncs: sync.count(), key: core.key.toString('hex') }))
  await core.close()
}

main().catch((error) => { console.error(error); process.exit(1) })
