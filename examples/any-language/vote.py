"""A vote of Python's standard library, without a word about llm-cache.

    llm-cache run -- python3 vote.py
"""

import json
import os
import urllib.request

URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
KEY = os.environ.get("OPENAI_API_KEY", "none")
MODEL = os.environ.get("MODEL", "gpt-4o-mini")


def ask(prompt):
    request = urllib.request.Request(
        URL + "/chat/completions",
        json.dumps({"model": MODEL, "messages": [{"role": "user", "content": prompt}]}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {KEY}"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["message"]["content"]


numbers = [int(ask("Choose a number between 1 and 1000. Answer with the number alone.")) for _ in range(7)]
votes = ["high" if number > 500 else "low" for number in numbers]
print(" ".join(votes), "wins:", max(set(votes), key=votes.count))
