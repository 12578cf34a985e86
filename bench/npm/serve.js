// Serves a hypercore over TCP until its input ends:  node serve.js FOLDER
'use strict'
const net = require('net')
const Hypercore = require('hypercore')

async function main () {
  const core = new Hypercore(process.argv[2])
  await core.ready()
  const server = net.createServer((socket) => {
    socket.setNoDelay(true)
    const stream = core.replicate(false)
    socket.on('error', () => {})
    stream.on('error', () => {})
    socket.pipe(stream).pipe(socket)
  })
  server.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ port: server.address().port, key: core.key.toString('hex'), blocks: core.length }))
  })
  process.stdin.resume()
  process.stdin.on('end', () => process.exit(0))
}

main().catch((error) => { console.error(error); process.exit(1) })
