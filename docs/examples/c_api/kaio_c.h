/* kaio_c: a loop of kaio for C, and for every language that can call C. From the root of kaio's repository, this makes
 * the library, and programs that use it:
 *     c++ -std=c++20 -fno-exceptions -shared -fPIC -I include docs/examples/c_api/kaio_c.cpp -o libkaio_c.so
 *     cc docs/examples/c_api/blocks.c -L . -lkaio_c -Wl,-rpath,. -o blocks && ./blocks
 *     python3 docs/examples/c_api/blocks.py ./libkaio_c.so
 *
 * A loop belongs to one thread; kaio_post alone is for any. Callbacks are called inside kaio_run or kaio_close. They may
 * call everything here but kaio_close, and must neither throw nor jump out. An error is a negative errno value. */
#ifndef KAIO_C_H
#define KAIO_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kaio_loop;

/* Is told how many bytes were transferred, or the error. */
typedef void kaio_done(void *user, int64_t result);

/* Makes a loop with room for so many requests in flight; more than that wait in it. Returns 0 or an error. */
int kaio_open(unsigned capacity, struct kaio_loop **loop);

/* Waits for what is in flight, and cancels what the kernel has not been given (-ECANCELED). */
void kaio_close(struct kaio_loop *loop);

/* Submit a request. All bytes are transferred; fewer are the end of the file. The buffer must stay until `done` is
 * called, which happens exactly once. Return 0, or -ENOMEM, and then `done` is not called. */
int kaio_read(struct kaio_loop *loop, int fd, void *buffer, size_t size, int64_t offset, kaio_done *done, void *user);
int kaio_write(struct kaio_loop *loop, int fd, const void *buffer, size_t size, int64_t offset, kaio_done *done,
               void *user);
int kaio_fdatasync(struct kaio_loop *loop, int fd, kaio_done *done, void *user);

/* Runs until nothing is in flight. Returns how many callbacks were called, or an error. */
int64_t kaio_run(struct kaio_loop *loop);

/* Any thread. Has `function(user)` called by the loop's thread. Returns 0 or an error. */
int kaio_post(struct kaio_loop *loop, void (*function)(void *user), void *user);

#ifdef __cplusplus
}
#endif

#endif
