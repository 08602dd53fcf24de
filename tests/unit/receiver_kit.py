"""What a receiver of the device's cores makes of bytes, for property tests."""


def events_of(receiver, chunks, told):
    """(events as `told` puts them, discarded) of a fresh receiver fed with `chunks`."""
    found = []
    for chunk in chunks:
        receiver.feed(chunk)
        while event := receiver.next_event():
            found.append(told(event))
    receiver.finish()
    while event := receiver.next_event():
        found.append(told(event))
    return found, receiver.discarded


def chunks_of(data, cuts):
    """`data` cut at `cuts`, numbers of any size."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in zip(edges, edges[1:])]
