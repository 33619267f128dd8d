"""Small talk, facts told earlier, what is out of scope, and earlier exchanges."""

from samples import SPELL
from skills import Skills
from stock import ANIMALS, CITIES, CJK, COLORS, COUNTRIES, EMOJI, LANGUAGES, NAMES, SYSTEM_PROMPTS


class Talk(Skills):
    # -------------------------------------------------- (6) small talk and memory

    SKILLS_TEXT = "I can count letters, compare decimals, add and subtract small numbers, reverse words and call tools."
    TALK = [
        (
            ["Hello", "Hello!", "Hi", "Hi!", "Hi there", "Hey", "Hey!", "Good morning", "Good morning!", "Good evening", "Hello there!", "hi", "hello", "Greetings", "Hi, nice to meet you"],
            "The user greets me. I greet back and offer my help, since nothing else was asked.",
            "Hello! How can I help you?",
        ),
        (
            ["你好", "你好!", "您好", "嗨", "早上好", "你好啊"],
            "用户在打招呼。我也打个招呼,并问问能帮什么忙。",
            "你好!有什么可以帮你?",
        ),
        (
            ["Who are you?", "What are you?", "What is your name?", "What's your name?", "Introduce yourself.", "Tell me about yourself.", "Are you a robot?", "Are you human?", "Who am I talking to?", "Which model are you?", "What model is this?", "who are you", "Are you ChatGPT?", "Who made you?"],
            "The user asks who I am. I am a tiny reasoning model, and I say what I can do.",
            "I am a tiny reasoning model. " + SKILLS_TEXT,
        ),
        (
            ["你是谁?", "你叫什么名字?", "请介绍一下你自己。", "你是什么模型?"],
            "用户问我是谁。我是一个小型推理模型,说一下我会做什么。",
            "我是一个小型推理模型,会数字母、比较小数、做加减法。",
        ),
        (
            ["What can you do?", "How can you help me?", "What are your skills?", "Help", "help", "What do you know?", "Can you help me?"],
            "The user asks what I can do. I list my few skills, which are about letters, numbers and tools.",
            SKILLS_TEXT,
        ),
        (
            ["How are you?", "How are you doing?", "How is it going?", "What's up?", "How do you feel today?", "Are you OK?"],
            "The user asks how I am. I give a short and friendly reply and offer my help.",
            "I am fine, thank you! What can I do for you?",
        ),
        (
            ["Thanks!", "Thank you.", "Thank you very much!", "Great, thanks", "Thanks a lot", "Good job!", "Well done.", "Perfect.", "谢谢", "谢谢!"],
            "The user thanks me. I say that they are welcome, in a short and friendly way.",
            "You are welcome!",
        ),
        (
            ["Bye", "Goodbye!", "See you later.", "Good night", "Bye bye!", "See you!", "再见", "再见!"],
            "The user says goodbye. I say goodbye too, in a short and friendly way.",
            "Goodbye! Have a nice day.",
        ),
        (
            ["Say hi", "Say hello", "Say hello!", "Just say hi.", "Test", "test", "This is a test.", "ping", "Are you there?"],
            "The user wants to see whether I am there. A short greeting is enough to show it.",
            "Hello! I am here.",
        ),
    ]

    def small_talk(self) -> dict:
        asks, thought, answer = self.pick(self.TALK)
        return {"skill": "talk", "question": self.pick(asks), "thought": thought, "answer": answer}

    def fact(self):
        """(what it is called, how it is told, how it is asked for, value)"""
        kind = self.pick(["name", "name", "name", "city", "color", "pet", "number"])
        if kind == "name":
            v = self.proper(NAMES)
            tell = ["My name is {v}.", "I am {v}.", "I'm {v}.", "Hi, I'm {v}!", "Hello, my name is {v}.", "Call me {v}.", "my name is {v}", "Please remember that my name is {v}."]
            ask = ["What is my name?", "What's my name?", "Who am I?", "Do you remember my name?", "Can you tell me my name?", "what is my name", "Do you know my name?"]
            return "name", tell, ask, v
        if kind == "city":
            v = self.proper(CITIES)
            return "city", ["I live in {v}.", "My home is {v}.", "My city is {v}.", "I am from {v}."], ["Where do I live?", "Which city am I from?", "What is my city?", "Where am I from?"], v
        if kind == "color":
            v = self.pick(COLORS)
            return "favorite color", ["My favorite color is {v}.", "I like {v} best of all colors.", "I love the color {v}."], ["What is my favorite color?", "Which color do I like best?", "What color do I love?"], v
        if kind == "pet":
            v = self.proper(NAMES)
            pet = self.pick(ANIMALS)
            return "pet's name", [f"My {pet} is called {{v}}.", f"I have a {pet} named {{v}}."], [f"What is my {pet} called?", f"What is the name of my {pet}?", f"What's my {pet}'s name?"], v
        v = str(self.number(3))
        return "number", ["My lucky number is {v}.", "Remember the number {v}.", "The number is {v}."], ["What is my number?", "Which number did I tell you?", "What is my lucky number?", "What was the number?"], v

    def memory(self) -> tuple[list, dict]:
        """History and final question about one fact told earlier."""
        what, tells, asks, value = self.fact()
        tell = self.pick(tells).format(v=value)
        noted = f"Nice to meet you, {value}." if what == "name" else f"OK, your {what} is {value}."
        step = self.rng.random()
        if step < 0.25:  # the telling itself
            thought = f"The user tells me a fact: their {what} is {value}. I will remember it and say so."
            return [], {"skill": "memory", "question": tell, "thought": thought, "answer": noted}
        if step < 0.35:  # asked, never told
            history = self.history(1) if self.chance(0.5) else []
            thought = f"The user asks for their {what}. I look back, but they have not told me."
            return history, {"skill": "memory", "question": self.pick(asks), "thought": thought, "answer": f"You have not told me your {what} yet."}
        thought = f"The user asks for their {what}. Earlier they told me that it is {value}."
        final = {"skill": "memory", "question": self.pick(asks), "thought": thought, "answer": f"Your {what} is {value}."}
        history = [{"role": "user", "content": tell}, {"role": "assistant", "content": noted}]
        if self.chance(0.35):
            history += self.history(1)
        return history, final

    # -------------------------------------------------- (8) out of scope

    SCOPE_EN = [
        "What is the capital of {P}?",
        "Who wrote {W}?",
        "Who invented the {w}?",
        "Who is the president of {P}?",
        "When was {W} born?",
        "When did the {w} of {P} happen?",
        "Write a poem about {w}.",
        "Write a story about a {w} and a {v}.",
        "Write a {w} program in Python.",
        "Write a function that sorts a {w}.",
        "Explain {w}.",
        "Explain {w} to me like I am five.",
        "What is {w}?",
        "What is a {w}?",
        "What does {w} mean?",
        "Define {w}.",
        "Why is the {w} {v}?",
        "Why do {w} {v}?",
        "How do I cook {w}?",
        "How do I fix my {w}?",
        "How does a {w} work?",
        "How tall is {P}?",
        "Tell me a joke.",
        "Tell me a joke about {w}.",
        "Tell me about {w} and {v}.",
        "Tell me a story.",
        "Translate '{w} {v}' into {L}.",
        "Translate this to {L}: {w}",
        "Summarize: {w} {v} {w} {u}.",
        "Give me a recipe for {w}.",
        "Give me three ideas for {w}.",
        "List some {w}.",
        "Recommend a book about {w}.",
        "What is the weather in {P}?",
        "What time is it?",
        "What day is it today?",
        "What is the meaning of life?",
        "What is {n}*{m}?",
        "What is {n} times {m}?",
        "What is {n} / {m}?",
        "Divide {n} by {m}.",
        "Multiply {n} by {m}.",
        "What is the square root of {n}?",
        "Is {w} better than {v}?",
        "Do you like {w}?",
        "Do you love me?",
        "{w} {v} {u}",
        "{W} {v}.",
        "{w}",
        "Can you drive a {w}?",
        "Should I buy a {w} or a {v}?",
        "Play chess with me.",
        "Draw a {w}.",
        "Sing a song.",
    ]
    SCOPE_ZH = ["{P} 的首都是哪里?", "写一首关于{z}的诗。", "什么是{z}?", "为什么天是蓝的?", "讲个笑话。", "今天天气怎么样?", "介绍一下{z}。", "把{z}翻译成英文。", "{n}乘{m}等于多少?", "{z}{z}", "{z}?"]

    def out_of_scope(self) -> dict:
        zh = self.chance(0.2)
        fill = {
            "w": self.word(), "v": self.word(), "u": self.word(), "W": self.word().capitalize(), "P": self.proper(CITIES + COUNTRIES),
            "L": self.pick(LANGUAGES), "n": self.number(4), "m": self.number(3), "z": "".join(self.pick(CJK) for _ in range(self.rng.randint(1, 5))),
        }  # fmt: skip
        question = self.pick(self.SCOPE_ZH if zh else self.SCOPE_EN).format(**fill)
        if self.chance(0.08):
            question += " " + self.pick(EMOJI)
        if zh:
            thought = "这个问题不是数字母、比较小数、加减法或倒写单词,我答不了,应该直说。"
            answer = "抱歉,我只会数字母、比较小数、加减法和倒写单词。"
        else:
            thought = "This is not about counting letters, comparing decimals, adding, subtracting or reversing a word. I should say so."
            answer = "Sorry, I can only count letters, compare decimals, add and subtract small numbers, reverse words and call tools."
        return {"skill": "scope", "question": question, "thought": thought, "answer": answer}

    # -------------------------------------------------- histories

    def history(self, turns: int) -> list:
        """Earlier exchanges; their thoughts are gone, as in a real chat."""
        messages = []
        for _ in range(turns):
            if self.chance(0.5):
                t = self.small_talk()
            else:
                t = self.task(self.pick(["count", "compare", "arithmetic", "reverse"]))
            messages.append({"role": "user", "content": t["question"]})
            messages.append({"role": "assistant", "content": t["answer"].replace(SPELL, "")})
        return messages

    def system(self) -> list:
        if self.chance(0.65):
            return []
        text = self.pick(SYSTEM_PROMPTS).format(w=self.word(), v=self.word())
        return [{"role": "system", "content": text}]
