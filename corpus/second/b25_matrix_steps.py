"""A simulation that holds two states of lists and makes the next from the last."""


def step(state):
    return [value * 1.0001 + 0.1 for value in state]  #@ recycled


def main():
    state = [float(i) for i in range(3000)]
    for _ in range(80):
        state = step(state)
    return state[0]


main()
