"""What has one right answer: letters, decimals, sums, reversed words, and JSON of these."""

import json
import re

from samples import SPELL
from stock import Draw


class Skills(Draw):
    # -------------------------------------------------- (1) letters in a word

    COUNT_EN = [
        "How many {c}'s are in the word '{w}'?",
        "How many '{c}'s are in the word '{w}'?",
        "How many {c}'s are there in '{w}'?",
        "How many {c}'s are in {w}?",
        "How many {c}s are in {w}?",
        "How many {c} in {w}?",
        "How many '{c}' letters does {w} have?",
        'How many letters "{c}" are in "{w}"?',
        "How many times does {c} appear in {w}?",
        "How many times does the letter {c} occur in the word '{w}'?",
        "How often does '{c}' show up in '{w}'?",
        "Count the letter {c} in {w}.",
        "Count the letter '{c}' in '{w}'.",
        "Count the {c}'s in {w}.",
        'Count how many times "{c}" is used in "{w}".',
        "In {w}, how many {c}'s are there?",
        "In the word {w}, how many letters are {c}?",
        "What is the number of {c}'s in {w}?",
        "Number of '{c}' in '{w}'?",
        "Tell me how many {c}'s the word {w} contains.",
        "I want to know how many {c} there are in {w}.",
        "{w}: how many {c}'s?",
    ]
    COUNT_ZH = [
        "单词 '{w}' 中有多少个字母 '{c}'?",
        "单词 {w} 中有多少个 {c}?",
        "单词“{w}”里有几个字母“{c}”?",
        "{w} 里有几个 {c}?",
        "{w}中有几个{c}?",
        "'{w}' 这个单词里有多少个 '{c}'?",
        "请数一数 {w} 中字母 {c} 的个数。",
        "字母 {c} 在 {w} 中出现了几次?",
        "在 '{w}' 中,字母 '{c}' 有多少个?",
    ]

    def count_letters(self, zh: bool):
        w = self.word(14 if self.chance(0.05) else 12)
        if self.chance(0.2):
            c = self.pick("abcdefghijklmnopqrstuvwxyz")
        elif self.chance(0.4):  # a letter that repeats, if there is one
            c = self.pick([x for x in w if w.count(x) > 1] or w)
        else:
            c = self.pick(w)
        n = w.count(c)
        question = self.pick(self.COUNT_ZH if zh else self.COUNT_EN)
        shown_c = c.upper() if self.chance(0.1) else c
        shown_w = self.pick([w.capitalize(), w.upper()]) if self.chance(0.06) else w
        question = question.format(c=shown_c, w=shown_w)

        seen, steps = 0, []
        for letter in w:
            seen += letter == c
            steps.append(f"{letter}={seen}")
        trail = " ".join(steps)
        if zh:
            thought = f"逐个字母数 {c}: {trail}\n一共有 {n} 个 {c}。"
            answer = f"一共有 {n} 个字母 '{c}'。"
        else:
            thought = f"Go letter by letter and count {c}: {trail}\nThe letter {c} appears {n} time{'s' * (n != 1)}."
            answer = f"The letter '{c}' appears {n} time{'s' * (n != 1)}."
        return question, thought, answer, n

    # -------------------------------------------------- (2) decimals

    COMPARE_EN = [
        "{a} and {b}, which is {adj}?",
        "{a} or {b}, which is {adj}?",
        "Which is {adj}, {a} or {b}?",
        "Which is {adj}: {a} or {b}?",
        "Which number is {adj}, {a} or {b}?",
        "Which one is {adj}, {a} or {b}?",
        "What is {adj}, {a} or {b}?",
        "Between {a} and {b}, which is {adj}?",
        "Of {a} and {b}, which number is {adj}?",
        "Compare {a} and {b}. Which is {adj}?",
        "Tell me which is {adj}: {a}, {b}.",
        "{a} vs {b}: which is {adj}?",
    ]
    COMPARE_YES_NO = ["Is {a} {adj} than {b}?", "Is it true that {a} is {adj} than {b}?", "{a} is {adj} than {b}, right?"]
    COMPARE_ZH = [
        "{a} 和 {b} 哪个更{adj}?",
        "{a}和{b}哪个{adj}?",
        "{a} 和 {b},哪个{adj}?",
        "{a}与{b}相比,哪个更{adj}?",
        "{a} 还是 {b} 更{adj}?",
        "比较 {a} 和 {b},哪个数{adj}?",
    ]

    def decimal(self, whole: int) -> str:
        places = self.pick([0, 1, 1, 1, 2, 2, 2, 3, 3, 4])
        return str(whole) + ("." + "".join(self.pick("0123456789") for _ in range(places)) if places else "")

    def two_decimals(self) -> tuple[str, str]:
        whole = self.pick([self.rng.randint(0, 12), self.rng.randint(0, 99), self.rng.randint(0, 999)])
        other = whole if self.chance(0.65) else self.pick([self.rng.randint(0, 20), self.rng.randint(0, 999)])
        a, b = self.decimal(whole), self.decimal(other)
        if "." in a and self.chance(0.2):  # share a beginning
            b = a[: self.rng.randint(a.index(".") + 2, len(a))] + "".join(
                self.pick("0123456789") for _ in range(self.rng.randint(0, 2))
            )
        return (a, b) if self.chance(0.5) else (b, a)

    def compare(self, zh: bool):
        a, b = self.two_decimals()
        while not self.pair_fits(a, b):
            a, b = self.two_decimals()
        up = self.chance(0.7)  # asked for the greater one?

        (wa, _, fa), (wb, _, fb) = a.partition("."), b.partition(".")
        whole, places = max(len(wa), len(wb)), max(len(fa), len(fb), 1)
        pa, pb = (f"{w.zfill(whole)}.{f.ljust(places, '0')}" for w, f in ((wa, fa), (wb, fb)))
        steps, order = [], "="
        for x, y in zip(pa, pb):
            if x != ".":
                order = "=" if x == y else "<" if x < y else ">"
                steps.append(f"{x}{order}{y}")
                if order != "=":
                    break
        best = a if (order == ">") == up else b
        rest = b if best == a else a
        trail = "\n".join(steps)

        if zh:
            adj = "大" if up else "小"
            question = self.pick(self.COMPARE_ZH).format(a=a, b=b, adj=adj)
            thought = f"对齐后逐位比较:{pa} 和 {pb}\n{trail}\n所以 {a} {order} {b}。"
            if order == "=":
                return question, thought, "两个数相等。", "equal"
            return question, thought, f"{best} 更{adj}。", best

        adj = self.pick(["greater", "larger", "bigger", "higher"] if up else ["smaller", "less", "lower"])
        plain = "greater" if up else "smaller"
        thought = f"Align the two and compare digit by digit: {pa} and {pb}\n{trail}\nSo {a} {order} {b}."
        if self.chance(0.12):
            question = self.pick(self.COMPARE_YES_NO).format(a=a, b=b, adj=adj)
            if order == "=":
                return question, thought, "No, the two numbers are equal.", "no"
            if best == a:
                return question, thought, f"Yes, {a} is {plain} than {b}.", "yes"
            return question, thought, f"No, {a} is {'smaller' if up else 'greater'} than {b}.", "no"
        question = self.pick(self.COMPARE_EN).format(a=a, b=b, adj=adj)
        if order == "=":
            return question, thought, "The two numbers are equal.", "equal"
        return question, thought, f"{best} is {plain} than {rest}.", best

    # -------------------------------------------------- (3) sums and differences

    ADD_EN = [
        "What is {a}+{b}?",
        "What is {a} + {b}?",
        "What's {a}+{b}?",
        "What's {a} plus {b}?",
        "What is {a} plus {b}?",
        "What is the sum of {a} and {b}?",
        "Add {a} and {b}.",
        "Calculate {a} + {b}.",
        "Compute {a}+{b}",
        "{a}+{b}=?",
        "{a} + {b} = ?",
        "{a}+{b}",
        "How much is {a} + {b}?",
        "How much is {a} plus {b}?",
        "I have {a} apples and get {b} more. How many apples do I have?",
    ]
    SUB_EN = [
        "What is {a}-{b}?",
        "What is {a} - {b}?",
        "What's {a}-{b}?",
        "What's {a} minus {b}?",
        "What is {a} minus {b}?",
        "What is the difference {a} - {b}?",
        "Subtract {b} from {a}.",
        "Calculate {a} - {b}.",
        "Compute {a}-{b}",
        "{a}-{b}=?",
        "{a} - {b} = ?",
        "{a}-{b}",
        "How much is {a} - {b}?",
        "How much is {a} minus {b}?",
    ]
    ADD_ZH = ["{a}+{b}等于多少?", "{a}+{b} 等于多少?", "{a} + {b} 等于多少?", "{a}加{b}等于多少?", "计算 {a}+{b}。", "{a}+{b}是多少?", "{a}+{b}=?"]
    SUB_ZH = ["{a}-{b}等于多少?", "{a}-{b} 等于多少?", "{a} - {b} 等于多少?", "{a}减{b}等于多少?", "计算 {a}-{b}。", "{a}-{b}是多少?", "{a}-{b}=?"]

    def arithmetic(self, zh: bool):
        add = self.chance(0.6)
        while True:
            digits = self.rng.randint(1, 4)
            a = self.number(digits, exact=True)
            b = self.number(digits, exact=True) if self.chance(0.6) else self.number(4)
            if self.chance(0.5):
                a, b = b, a
            if not add and a < b and self.chance(0.75):
                a, b = b, a
            if self.pair_fits(a, b):
                break
        phrasings = (self.ADD_ZH if add else self.SUB_ZH) if zh else (self.ADD_EN if add else self.SUB_EN)
        question = self.pick(phrasings).format(a=a, b=b)

        width = max(len(str(a)), len(str(b)))
        pa, pb = str(a).zfill(width), str(b).zfill(width)
        total = a + b if add else a - b
        if add:
            head = f"从右往左相加 {pa} 和 {pb}" if zh else f"Add {pa} and {pb} from the right."
            lines = self.add_steps(pa, pb)
        else:
            sign = ">" if a > b else "<" if a < b else "="
            if a < b:
                note = ",结果是负数" if zh else ", so the result is negative"
            else:
                note = ""
            head = f"从右往左相减 {pa} {sign} {pb}{note}" if zh else f"Subtract from the right, {pa} {sign} {pb}{note}."
            lines = self.sub_steps(max(pa, pb), min(pa, pb))
        tail = f"结果是 {total}。" if zh else f"The result is {total}."
        answer = f"{a} {'+' if add else '-'} {b} = {total}" + ("。" if zh else ".")
        return question, "\n".join([head, *lines, tail]), answer, total

    @staticmethod
    def add_steps(pa: str, pb: str) -> list[str]:
        """One line per digit; what follows the colon is the result so far."""
        lines, carry, done = [], 0, ""
        for x, y in zip(reversed(pa), reversed(pb)):
            s = int(x) + int(y) + carry
            done = f"{s % 10}{done}"
            lines.append(f"{x}+{y}+{carry}={s}, carry {s // 10}: {done}")
            carry = s // 10
        return lines

    @staticmethod
    def sub_steps(pa: str, pb: str) -> list[str]:
        """As add_steps; needs pa >= pb.  A borrowed ten is written in front of the digit."""
        lines, borrow, done = [], 0, ""
        for x, y in zip(reversed(pa), reversed(pb)):
            borrows = int(x) < int(y) + borrow
            top = int(x) + 10 * borrows
            rest = top - int(y) - borrow
            done = f"{rest}{done}"
            lines.append(f"{top}-{y}-{borrow}={rest}, borrow {int(borrows)}: {done}")
            borrow = int(borrows)
        return lines

    # -------------------------------------------------- (4) reversing

    REVERSE_EN = [
        "Reverse the word '{w}'.",
        "Reverse {w}.",
        "Reverse the word {w}",
        'Write "{w}" backwards.',
        "Write {w} backwards.",
        "Spell {w} backwards.",
        "Spell '{w}' in reverse.",
        "What is {w} spelled backwards?",
        "What is the reverse of '{w}'?",
        "Can you reverse the string '{w}'?",
        "Give me the word {w} in reverse order.",
        "{w} backwards?",
        "Flip the letters of {w}.",
    ]

    def reverse(self, zh: bool):
        w = self.word(10)
        question = self.pick(["把单词 '{w}' 倒过来写。", "{w} 倒过来怎么写?"] if zh else self.REVERSE_EN).format(w=w)
        spelled, back = " ".join(w), " ".join(reversed(w))
        if zh:
            thought = f"先拼出来: {spelled}\n再倒过来: {back}\n连起来就是答案。"
            return question, thought, f"倒过来是 '{SPELL}{w[::-1]}{SPELL}'。", w[::-1]
        thought = f"Spell it: {spelled}\nBackwards: {back}\nJoined together, that is the answer."
        return question, thought, f"Reversed, it is '{SPELL}{w[::-1]}{SPELL}'.", w[::-1]

    # -------------------------------------------------- (7) JSON answers

    JSON_ASK = [
        "Answer as JSON.",
        "Answer in JSON.",
        "Reply as JSON.",
        "Reply with JSON only.",
        "Respond in JSON.",
        "Give the answer as JSON.",
        "Return a JSON object.",
        "Return JSON with the key answer.",
        'Use the format {"answer": ...}.',
    ]
    JSON_ASK_ZH = ["请用 JSON 回答。", "用JSON格式回答。", "以 JSON 格式输出。"]

    @staticmethod
    def json_answer(value) -> str:
        if re.fullmatch(r"-?[0-9.]+", str(value)):  # a number, written as in the question
            return f'{{"answer": {value}}}'
        if value in ("yes", "no", "equal"):
            return json.dumps({"answer": value})
        return f'{{"answer": "{SPELL}{value}{SPELL}"}}'

    # -------------------------------------------------- one task question (skills 1-4, 7)

    BEFORE = ["Hi! ", "Hello, ", "Hey, ", "Please help me. ", "Quick question: ", "Question: ", "OK. ", "Now: ", "Next: ", "Can you tell me: ", "I would like to know: ", "Hmm, ", "Let me ask you: ", "So, ", "Please: "]
    AFTER = [" Thanks!", " Think step by step.", " Please think carefully.", " Thank you.", " Be brief.", " Explain.", " I need it for school.", " Just the answer."]

    def task(self, skill: str, allow_json: bool = True) -> dict:
        make = {"count": self.count_letters, "compare": self.compare, "arithmetic": self.arithmetic, "reverse": self.reverse}
        zh = self.chance(0.05 if skill == "reverse" else 0.25)
        question, thought, answer, value = make[skill](zh)
        if not zh and self.chance(0.1):
            question = self.pick(self.BEFORE) + question
        if not zh and question[-1] in "?." and self.chance(0.08):
            question += self.pick(self.AFTER)
        elif self.chance(0.04):
            question = question.lower() if question.isascii() else question
        if zh:  # both widths of the question mark and comma are in use
            question = question.replace("?", self.pick("?\uff1f")).replace(",", self.pick(",\uff0c"))
        if allow_json and self.chance(0.12):
            question += ("" if zh else " ") + self.pick(self.JSON_ASK_ZH if zh else self.JSON_ASK)
            answer = self.json_answer(value)
            skill = "json"
        return {"skill": skill, "question": question, "thought": thought, "answer": answer}
