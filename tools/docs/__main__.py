"""`make docs`: writes every generated text anew."""

from tools.docs import pages

if __name__ == "__main__":
    for path in pages.write():
        print(f"wrote {path}")  # noqa: T201, it is a program
