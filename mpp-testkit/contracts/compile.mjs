// Writes the artefact beside each contract. In a folder that has `solc` of this version:
//   npm install solc@0.8.37 && node path/to/compile.mjs
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const VERSION = '0.8.37'
const here = import.meta.dirname
const require = createRequire(join(process.cwd(), 'package.json'))
const solc = require('solc')
const { keccak256 } = require('js-sha3')
if (!solc.version().startsWith(VERSION + '+')) throw new Error(`solc ${VERSION} is wanted, not ${solc.version()}`)

const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: 'cancun',
  viaIR: true,
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: { '*': { '*': ['evm.deployedBytecode.object'] } },
}

for (const file of readdirSync(here).filter((file) => file.endsWith('.sol'))) {
  const source = readFileSync(join(here, file), 'utf8')
  const input = { language: 'Solidity', sources: { [file]: { content: source } }, settings }
  const { errors = [], contracts = {} } = JSON.parse(solc.compile(JSON.stringify(input)))
  // 2394: transient storage lasts to the end of the transaction, which is what it is used for.
  const wrong = errors.filter((error) => error.errorCode !== '2394')
  for (const { formattedMessage } of wrong) console.error(formattedMessage)
  if (wrong.length) process.exit(1)
  const name = file.replace('.sol', '')
  const artefact = {
    source: '0x' + keccak256(source),
    compiler: `solc ${VERSION}: optimizer, 200 runs; cancun; via IR; no metadata`,
    runtime: '0x' + contracts[file][name].evm.deployedBytecode.object,
  }
  writeFileSync(join(here, `${name}.json`), JSON.stringify(artefact, null, 2) + '\n')
  console.log(name, (artefact.runtime.length - 2) / 2, 'bytes')
}
