// Copies a hypercore over TCP into a new one and says how long it took:  node fetch.js FOLDER KEY PORT BLOCKS SYNC
// The journal of its database is synced after every SYNC blocks, as our nodes sync what they have fetched.
'use strict'
const net = require('net')
const Hypercore = require('hypercore')
const { syncer } = require('./common.js')

async function main () {
  const [folder, key, port, blocks, each] = process.argv.slice(2)
  const core = new Hypercore(folder, Buffer.from(key, 'hex'))
  await core.ready()
  const sync = syncer(folder)
  let got = 0
  let done
  const all = new Promise((resolve) => { done = resolve })
  core.on('download', () => {
    got++
    if (got % Number(each) === 0) sync()
    if (got === Number(blocks)) done()
  })
  const start = process.hrtime.bigint()
  const socket = net.connect(Number(port), '127.0.0.1')
  socket.setNoDelay(true)
  const stream = core.replicate(true)
  socket.pipe(stream).pipe(socket)
  core.download({ start: 0, end: Number(blocks) })
  await all
  sync()
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  console.log(JSON.stringify({ blocks: core.contiguousLength, seconds, syncs: sync.count() }))
  process.exit(0)
}

main().catch((error) => { console.error(error); process.exit(1) })
