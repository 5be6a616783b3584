"""Runs a command on a terminal of its own and prints what that shows.

terminal.py [--meanwhile PROMPT SCRIPT] [--answer PROMPT TEXT]… -- COMMAND…

Each TEXT is typed, with a newline, once PROMPT has been shown; SCRIPT is run by a shell before that. The exit code is the
command's.
"""

import os
import pty
import select
import subprocess
import sys

words = sys.argv[1:]
answers, meanwhile = [], None
if words[0] == "--meanwhile":
    meanwhile = (words[1].encode(), words[2])
    words = words[3:]
while words[0] == "--answer":
    answers.append((words[1].encode(), words[2].encode() + b"\n"))
    words = words[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(words[1], words[1:])
shown, seen = b"", 0
while True:
    if not select.select([terminal], [], [], 30)[0]:
        os.kill(pid, 9)
        sys.exit("nothing happens after: %r" % shown)
    try:
        more = os.read(terminal, 65536)
    except OSError:  # the last one on the terminal has gone
        break
    if not more:
        break
    shown += more
    if meanwhile and meanwhile[0] in shown:
        subprocess.run(["sh", "-c", meanwhile[1]], check=True, stdin=subprocess.DEVNULL)
        meanwhile = None
    while answers and answers[0][0] in shown[seen:]:
        prompt, text = answers.pop(0)
        seen = shown.index(prompt, seen) + len(prompt)
        os.write(terminal, text)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))
sys.stdout.flush()
if answers:
    sys.exit("never asked: %r" % answers[0][0])
sys.exit(os.waitstatus_to_exitcode(status))
