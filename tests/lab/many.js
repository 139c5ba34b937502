// SPDX-License-Identifier: MIT
// many.js HOST PORT COUNT: so many connections at once to an echo server, each with bytes of its own
'use strict';
const net = require('net');
const [host, port, count] = process.argv.slice(2);
const outcome = {};
let open = Number(count);

function done(what) {
	outcome[what] = (outcome[what] || 0) + 1;
	if (--open === 0)
		console.log(Object.keys(outcome).sort().map((what) => `${outcome[what]} ${what}`).join(', '));
}

for (let i = 0; i < Number(count); i++) {
	const text = `hello ${i}\n`.repeat(20);
	const socket = net.connect({ host, port: Number(port) });
	let back = '', problem;

	socket.setEncoding('latin1');
	socket.on('connect', () => socket.end(text));
	socket.on('data', (data) => { back += data; });
	socket.on('error', (error) => { problem = error.code; });
	socket.on('close', () => done(problem || (back === text ? 'served' : back ? 'wrong bytes' : 'early end')));
}
