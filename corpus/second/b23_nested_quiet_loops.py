"""Two loops that nothing but one allocation shows; what it makes replaces what it made before."""
SLOTS = [None] * 40


def main():
    for _ in range(50):
        for j in range(40):
            SLOTS[j] = bytes(2000)  #@ cache|recycled


main()
