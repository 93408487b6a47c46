/**
 * A vote of JavaScript without any package, and without a word about llm-cache.
 *
 *     llm-cache run -- node vote.mjs
 */
const { MODEL = "gpt-4o-mini", OPENAI_API_KEY = "none", OPENAI_BASE_URL = "https://api.openai.com/v1" } = process.env

const ask = async (content) => {
  const response = await fetch(`${OPENAI_BASE_URL}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${OPENAI_API_KEY}` },
    body: JSON.stringify({ model: MODEL, messages: [{ role: "user", content }] })
  })
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
  return (await response.json()).choices[0].message.content
}

const votes = []
for (let i = 0; i < 7; i++) {
  const number = Number(await ask("Choose a number between 1 and 1000. Answer with the number alone."))
  votes.push(number > 500 ? "high" : "low")
}
const high = votes.filter((vote) => vote === "high").length
console.log(`${votes.join(" ")}: ${high > 3 ? "high" : "low"} wins`)
