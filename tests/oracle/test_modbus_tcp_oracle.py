"""The Modbus/TCP client against pymodbus as server, over a real connection on loopback."""

import asyncio
import struct

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from dicamm.proto import modbus_tcp
from dicamm.proto.modbus_pdu import DONE, EXCEPTION, FAILED, PENDING

REGISTERS = [(7 * number + 3) & 0xFFFF for number in range(200)]


class Session:
    """A client of ours on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunk: int):
        self.client = modbus_tcp.TcpClient()
        self.reader, self.writer, self.chunk = reader, writer, chunk

    async def ask(self, request: memoryview) -> int:
        self.writer.write(bytes(request))
        while self.client.status == PENDING:
            data = await asyncio.wait_for(self.reader.read(self.chunk), 30)
            assert data
            self.client.feed(data)
        return self.client.status


@pytest.fixture(params=[1, 7, 4096])
async def session(request):
    data = SimData(0, values=REGISTERS, datatype=DataType.REGISTERS)
    server = ModbusTcpServer(SimDevice(5, [data]), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield Session(reader, writer, request.param)
    writer.close()
    await server.shutdown()


@pytest.mark.parametrize("function", [3, 4])
async def test_reads_give_the_registers_of_the_server(session: Session, function: int):
    for address, count in [(0, 1), (17, 2), (0, 125), (199, 1)]:
        assert await session.ask(session.client.read(5, function, address, count)) == DONE
        values = struct.unpack(f">{count}H", session.client.payload)
        assert list(values) == REGISTERS[address : address + count]


async def test_writes_are_confirmed_and_read_back(session: Session):
    client = session.client
    assert await session.ask(client.write_single(5, 10, 0xABCD)) == DONE
    assert await session.ask(client.write_multiple(5, 11, [1, 2, 0xFFFF])) == DONE
    assert await session.ask(client.read(5, 3, 10, 4)) == DONE
    assert struct.unpack(">4H", client.payload) == (0xABCD, 1, 2, 0xFFFF)


async def test_registers_that_are_not_there_are_an_exception(session: Session):
    assert await session.ask(session.client.read(5, 3, 300, 2)) == FAILED
    assert (session.client.error, session.client.exception_code) == (EXCEPTION, 2)
    assert await session.ask(session.client.read(5, 3, 0, 2)) == DONE
