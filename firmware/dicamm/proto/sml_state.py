"""Places in the state of an SML receiver: one array of 32-bit numbers that its loops share.

The device does not import this: its modules hold the numbers they use as constants, which cost
nothing there. A test compares them.
"""

SIZE = 39  # of the array

# transport
WHY = 0  # why `take` stopped, one of those below; 0: all taken, or a frame is held
IN_FRAME = 1  # 1: the buffer holds the begin of a frame, 0: a start is searched for
MATCHED = 2  # bytes of a start sequence seen, while searching
CLEAN = 3  # 1: nothing but (parts of) a start sequence came since the last good frame
START = 4  # of the frame, as index into what is being taken; below 0: before it
SHIFT = 5  # added to START: place of the bytes taken within what is fed
FILL = 6  # bytes in the buffer
RUN = 7  # bytes at the end of the buffer that may belong to an escape
CRC = 8  # CRC register over the buffer up to CRC_AT (in bytecode: over a whole frame)
LITERALS = 9  # escapes in the frame that stand for themselves
END = 10  # of the messages in the buffer, once the frame has ended
LIMIT = 11  # of FILL
HELD = 12  # 1: the buffer holds a good frame

# messages of the frame, all 0 at its start unless said
POS = 13  # next element that `skim` looks at; at first 8
DONE = 14  # end of the last whole message; at first 8
LEFT = 15  # elements left in the part of a message that is being passed over
PART = 16  # of the message: 0 between messages, 1 before the body, 2 body, 3 checksum
MESSAGE = 17  # where the message begins
BODY = 18  # where its body begins
BODY_END = 19
MESSAGES = 20  # whole ones so far
OPEN = 21  # where the open message's fields begin, 0: none
CLOSE = 22
LIST = 23  # where the value list's fields begin, 0: none
LIST_END = 24
KERMIT = 25  # 1: a message carries CRC-16/KERMIT
SHORT = 26  # 1: the checksum of a message came as one byte
SLOW = 27  # 1: not of the common form, to be read element by element
TRANSPORT_KERMIT = 28  # 1: the frame's own checksum is CRC-16/KERMIT
FIRST_OF_FRAME = LEFT
LAST_OF_FRAME = TRANSPORT_KERMIT

# value lists
KNOWN = 29  # bytes of `seen` that tell what the pooled entries hold
ROOM = 30  # size of `seen`
POOL = 31  # number of pooled entries
ENTRIES = 32  # of the value list being read
TOLD = 33  # of the one read last
FORM = 34  # what was worth a note in the list read last: bits, see `sml_entries_viper`
WORD = 35  # bytes of a machine word

# checksums and structure
CRC_AT = 36  # bytes of the buffer that are in CRC
UNFIT = 37  # of the held frame: 0 where `skim` found the common form
SUSPECT = 38  # 8: the meter may send values wrong, `sml_quirks`

ODD = 255  # in `seen` in place of a size: the entry is not of the common form

# reasons in WHY, as `take` of the loops gives them
BEGUN = 1  # a frame began behind other bytes
ENDED_ODD = 2  # a frame ended without good CRC-16/X-25 and fill count
RESTART = 3  # a start sequence inside a frame
BAD_ESCAPE = 4
FULL = 5  # no room in the buffer

# what the loops share besides, in one list
HOME_STATE = 0
HOME_FRAME = 1  # bytearray: the frame as it is on the line
HOME_TABLES = 2  # crc_tables() of sml_loops
HOME_PLACES = 3  # array of 16-bit numbers, four for each pooled entry
HOME_SEEN = 4  # bytearray: names and octet strings of the list read last
HOME_RAWS = 5  # array with one 64-bit number
HOME_POOL = 6  # list of SmlEntry
HOME_TOLD = 7  # SmlFrame
HOME_EVENT = 8  # Event that tells of it
HOME_NONE = 9  # None, which as a constant viper stores as 0
HOME_BARE_TIME = 10  # quirks of an entry whose time has no choice
HOME_CUT = 11  # function: bytes of the buffer from one place to another
HOME_READ_ENTRIES = 12  # the loop over a list's entries
HOME_ANY_FORM = 13  # function that reads an entry of any form
HOME_SKIM = 14  # the loop over messages
HOME_NAME = 15  # bytearray of a name's six bytes
HOME_SIZE = 16

START_CRC = 0x91DC  # CRC-16/X-25 register behind a start sequence
GOOD_CRC = 0xF0B8  # register behind data and its CRC-16/X-25 (ISO/IEC 13239)
