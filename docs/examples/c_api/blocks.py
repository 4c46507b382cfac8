#!/usr/bin/env python3
"""blocks.py LIBRARY: writes 16 blocks of a file at once and reads them back, through libkaio_c.so. The callbacks are
Python functions. Another thread posts to the loop."""

import ctypes
import mmap
import os
import sys
import threading

BLOCKS, SIZE = 16, 4096

kaio = ctypes.CDLL(sys.argv[1])
done_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
function_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
request = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, done_type, ctypes.c_void_p]
kaio.kaio_open.argtypes = [ctypes.c_uint, ctypes.POINTER(ctypes.c_void_p)]
kaio.kaio_read.argtypes = kaio.kaio_write.argtypes = request
kaio.kaio_fdatasync.argtypes = [ctypes.c_void_p, ctypes.c_int, done_type, ctypes.c_void_p]
kaio.kaio_post.argtypes = [ctypes.c_void_p, function_type, ctypes.c_void_p]
kaio.kaio_run.argtypes = kaio.kaio_close.argtypes = [ctypes.c_void_p]
kaio.kaio_run.restype = ctypes.c_int64


def check(result):
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


results = []
done = done_type(lambda user, result: results.append(result))  # kept, because the library calls it later
fd = os.open("blocks.bin", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
written, read = mmap.mmap(-1, BLOCKS * SIZE), mmap.mmap(-1, BLOCKS * SIZE)  # aligned to a page
written[:] = b"".join(bytes([97 + i]) * SIZE for i in range(BLOCKS))

loop = ctypes.c_void_p()
check(kaio.kaio_open(BLOCKS, loop))
for submit, buffer in (kaio.kaio_write, written), (kaio.kaio_read, read):
    start = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    for i in range(BLOCKS):
        check(submit(loop, fd, start + i * SIZE, SIZE, i * SIZE, done, None))
    check(kaio.kaio_run(loop))
    check(kaio.kaio_fdatasync(loop, fd, done, None))

posted = function_type(lambda user: print("posted by another thread"))
thread = threading.Thread(target=lambda: check(kaio.kaio_post(loop, posted, None)))
thread.start()
thread.join()
check(kaio.kaio_run(loop))
kaio.kaio_close(loop)
os.close(fd)

moved = sum(check(result) for result in results)
print(f"{moved // SIZE} blocks written and read, {'the same' if written[:] == read[:] else 'others'}")
