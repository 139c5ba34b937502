// SPDX-License-Identifier: MIT
// loops.js HOST:PORT HOST:PORT: as loops.py, for node's event loop
'use strict';
const net = require('net');
const TICK = 2;
const targets = process.argv.slice(2);
const now = () => Number(process.hrtime.bigint()) / 1e6;
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function connect(target, begun = now()) {
	const at = target.lastIndexOf(':');
	return new Promise((resolve, reject) => {
		const socket = net.connect(Number(target.slice(at + 1)), target.slice(0, at));
		let took, text = '';
		socket.on('connect', () => { took = now() - begun; socket.write(target + '\n'); });
		socket.on('data', (data) => {
			text += data;
			if (!text.endsWith('\n'))
				return;
			socket.destroy();
			if (text === target + '\n') resolve(took); else reject(new Error(target + ': wrong bytes'));
		});
		socket.on('error', reject);
	});
}

async function main() {
	const one = await connect(targets[0]);
	await rest(1000);
	let before = now(), longest = 0;
	const ticker = setInterval(() => {
		const at = now();
		longest = Math.max(longest, at - before - TICK);
		before = at;
	}, TICK);
	await rest(10 * TICK);
	longest = 0;
	const begun = now();
	const both = Math.max(...await Promise.all(targets.map((target) => connect(target, begun))));
	await rest(2 * TICK);
	clearInterval(ticker);
	console.log(one.toFixed(0), both.toFixed(0), longest.toFixed(0));
}
main().catch((problem) => { console.error(problem.message); process.exit(1); });
