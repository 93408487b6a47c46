// A worker of a program: `node worker.mjs DRAWS URL…`. It draws at each URL, with pauses, and prints its draws.
const [, , draws, ...urls] = process.argv
const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "p" }] })
const drawn = []
for (const url of urls) {
  const texts = []
  for (let i = 0; i < Number(draws); i++) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 4))
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body
    })
    texts.push((await response.json()).choices[0].message.content)
  }
  drawn.push(texts)
}
console.log(JSON.stringify(drawn))
