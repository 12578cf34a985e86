// What the three programs share.
'use strict'
const fs = require('fs')
const path = require('path')

function lines (file) {
  return fs.readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => Buffer.from(line))
}

// Returns a function that syncs the newest journal of the database below a folder to the disk.
function syncer (folder) {
  const db = path.join(folder, 'db')
  let open = null
  let name = null
  let count = 0
  function sync () {
    const newest = fs.readdirSync(db).filter((one) => one.endsWith('.log')).sort().pop()
    if (newest === undefined) throw new Error('the database has no journal: nothing could be synced')
    if (newest !== name) {
      if (open !== null) {
        fs.fdatasyncSync(open)
        fs.closeSync(open)
      }
      open = fs.openSync(path.join(db, newest), 'r+')
      name = newest
    }
    fs.fdatasyncSync(open)
    count++
  }
  sync.count = () => count
  return sync
}

module.exports = { lines, syncer }
