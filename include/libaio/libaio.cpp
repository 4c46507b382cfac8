// The library libaio.so.1 over kaio, for programs that are built already. Its symbols have the versions that libaio.map
// says; docs/libaio.md says how to use it.
#include <kaio/compat/libaio.hpp>

namespace lib = kaio::libaio;
using lib::io_context_t;

extern "C" {

int io_setup(int maxevents, io_context_t* ctxp) { return lib::io_setup(maxevents, ctxp); }
int io_destroy(io_context_t ctx) { return lib::io_destroy(ctx); }
int io_submit(io_context_t ctx, long nr, lib::iocb* ios[]) { return lib::io_submit(ctx, nr, ios); }
int io_cancel_0_4(io_context_t ctx, lib::iocb* block, lib::io_event* evt) { return lib::io_cancel(ctx, block, evt); }
int io_getevents_0_4(io_context_t ctx, long min_nr, long nr, lib::io_event* events, timespec* timeout) {
    return lib::io_getevents(ctx, min_nr, nr, events, timeout);
}
int io_pgetevents(io_context_t ctx, long min_nr, long nr, lib::io_event* events, timespec* timeout, sigset_t* sigmask) {
    return lib::io_pgetevents(ctx, min_nr, nr, events, timeout, sigmask);
}
int io_queue_init(int maxevents, io_context_t* ctxp) { return lib::io_queue_init(maxevents, ctxp); }
int io_queue_release(io_context_t ctx) { return lib::io_queue_release(ctx); }
int io_queue_run(io_context_t ctx) { return lib::io_queue_run(ctx); }
int io_queue_wait_0_4(io_context_t ctx, timespec* timeout) { return lib::io_queue_wait(ctx, timeout); }

// What programs from before 2003 were linked with.
int io_queue_wait_0_1(io_context_t ctx, timespec* timeout) { return lib::io_queue_wait(ctx, timeout); }
int io_cancel_0_1(io_context_t ctx, lib::iocb* block) {
    lib::io_event event;
    return lib::io_cancel(ctx, block, &event);
}
int io_getevents_0_1(io_context_t ctx, long nr, lib::io_event* events, const timespec* timeout) {
    timespec copy = timeout ? *timeout : timespec();
    return lib::io_getevents(ctx, 1, nr, events, timeout ? &copy : nullptr);
}

} // extern "C"

__asm__(".symver io_cancel_0_1, io_cancel@LIBAIO_0.1");
__asm__(".symver io_cancel_0_4, io_cancel@@LIBAIO_0.4");
__asm__(".symver io_getevents_0_1, io_getevents@LIBAIO_0.1");
__asm__(".symver io_getevents_0_4, io_getevents@@LIBAIO_0.4");
__asm__(".symver io_queue_wait_0_1, io_queue_wait@LIBAIO_0.1");
__asm__(".symver io_queue_wait_0_4, io_queue_wait@@LIBAIO_0.4");
