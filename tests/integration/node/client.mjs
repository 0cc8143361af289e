// SPDX-License-Identifier: Apache-2.0
// Plays the scenarios of a file against an endpoint, with one kind of socket, and says how they went in TAP.
import { readFileSync } from "node:fs"
import { isDeepStrictEqual } from "node:util"
import { Dealer, Request } from "zeromq"

const TIMEOUT_MS = 20000

// Of each kind: the socket, its options, and the envelope that its messages have where the scenario gives none.
const KINDS = {
	dealer: { Socket: Dealer, options: {}, envelope: [] },
	delimited: { Socket: Dealer, options: {}, envelope: [""] },
	req: { Socket: Request, options: {}, envelope: [] },
	correlate: { Socket: Request, options: { correlate: true }, envelope: [] },
	relaxed: { Socket: Request, options: { correlate: true, relaxed: true }, envelope: [] },
}

function connect(endpoint, { Socket, options }) {
	const socket = new Socket({ linger: 0, receiveTimeout: TIMEOUT_MS, sendTimeout: TIMEOUT_MS, ...options })
	socket.connect(endpoint)
	return socket
}

async function send(socket, step, envelope) {
	const message = "body" in step ? `${step.send}\n${JSON.stringify(step.body)}` : step.send
	await socket.send([...(step.envelope ?? envelope), message])
}

// The header, and the body that follows it as what it says; undefined where there is none.
function read(message) {
	const end = message.indexOf("\n")
	return end < 0 ? [message] : [message.slice(0, end), JSON.parse(message.slice(end + 1))]
}

// Whether the frames that came are the reply that is expected.
function fits(expected, envelope, frames) {
	const [header, body] = read(frames.at(-1))
	return isDeepStrictEqual(frames.slice(0, -1), expected.envelope ?? envelope) &&
		new RegExp(`^(?:${expected.reply})$`).test(header) && isDeepStrictEqual(body, expected.body)
}

// As many replies as the step has, in whatever order they come.
async function hear(socket, step, envelope) {
	const expected = [...step.hear]
	while (expected.length > 0) {
		const frames = (await socket.receive()).map(String)
		const found = expected.findIndex((reply) => fits(reply, envelope, frames))
		if (found < 0)
			throw new Error(`heard ${JSON.stringify(frames)}, expected ${JSON.stringify(expected)}`)
		expected.splice(found, 1)
	}
}

async function play(scenario, endpoint, kind) {
	const sockets = []
	try {
		for (const step of scenario.steps) {
			const socket = sockets[step.socket ?? 0] ??= connect(endpoint, kind)
			await ("send" in step ? send : hear)(socket, step, kind.envelope)
		}
	} finally {
		sockets.forEach((socket) => socket.close())
	}
}

const [endpoint, kind, path] = process.argv.slice(2)
const scenarios = JSON.parse(readFileSync(path, "utf8")).filter(({ kinds }) => !kinds || kinds.includes(kind))
console.log(`1..${scenarios.length}`)
for (const [index, scenario] of scenarios.entries()) {
	try {
		await play(scenario, endpoint, KINDS[kind])
		console.log(`ok ${index + 1} - ${scenario.name}`)
	} catch (error) {
		console.log(`# ${error.message}\nnot ok ${index + 1} - ${scenario.name}`)
		process.exitCode = 1
	}
}
