// kaio's structures of libaio beside those of <libaio.h>: each field lies where libaio has it. run.py compiles this for
// several processors.
#include <cstddef>
#include <type_traits>

#include <libaio.h>

#include <kaio/compat/libaio.hpp>

#define SAME_TYPE(type)                                                                                                \
    static_assert(sizeof(::type) == sizeof(kaio::libaio::type) && alignof(::type) == alignof(kaio::libaio::type))
#define SAME_FIELD(type, field)                                                                                        \
    static_assert(offsetof(::type, field) == offsetof(kaio::libaio::type, field));                                     \
    static_assert(sizeof(::type::field) == sizeof(kaio::libaio::type::field))
#define SAME_NESTED(field)                                                                                             \
    static_assert(offsetof(::iocb, field) == offsetof(kaio::libaio::iocb, field));                                     \
    static_assert(sizeof(::iocb{}.field) == sizeof(kaio::libaio::iocb{}.field));                                       \
    static_assert(std::is_same_v<decltype(::iocb{}.field), decltype(kaio::libaio::iocb{}.field)>)
#define SAME_VALUE(name) static_assert(static_cast<int>(::name) == static_cast<int>(kaio::libaio::name))

SAME_TYPE(iocb);
SAME_FIELD(iocb, data);
SAME_FIELD(iocb, key);
SAME_FIELD(iocb, aio_rw_flags);
SAME_FIELD(iocb, aio_lio_opcode);
SAME_FIELD(iocb, aio_reqprio);
SAME_FIELD(iocb, aio_fildes);
SAME_FIELD(iocb, u);
SAME_NESTED(data);
SAME_NESTED(key);
SAME_NESTED(aio_rw_flags);
SAME_NESTED(aio_lio_opcode);
SAME_NESTED(u.c.buf);
SAME_NESTED(u.c.nbytes);
SAME_NESTED(u.c.offset);
SAME_NESTED(u.c.flags);
SAME_NESTED(u.c.resfd);
SAME_NESTED(u.v.vec);
SAME_NESTED(u.v.nr);
SAME_NESTED(u.v.offset);
SAME_NESTED(u.poll.events);
SAME_NESTED(u.saddr.addr);
SAME_NESTED(u.saddr.len);
SAME_TYPE(io_event);
SAME_FIELD(io_event, data);
SAME_FIELD(io_event, obj);
SAME_FIELD(io_event, res);
SAME_FIELD(io_event, res2);
SAME_TYPE(io_context_t);
SAME_TYPE(io_iocb_common);
SAME_TYPE(io_iocb_vector);
SAME_TYPE(io_iocb_poll);
SAME_TYPE(io_iocb_sockaddr);
SAME_TYPE(io_sigset);
SAME_FIELD(io_sigset, ss_len);
SAME_TYPE(io_sigset_compat);
SAME_FIELD(io_sigset_compat, ss);
SAME_FIELD(io_sigset_compat, ss_len);
SAME_VALUE(IO_CMD_PREAD);
SAME_VALUE(IO_CMD_PWRITE);
SAME_VALUE(IO_CMD_FSYNC);
SAME_VALUE(IO_CMD_FDSYNC);
SAME_VALUE(IO_CMD_POLL);
SAME_VALUE(IO_CMD_NOOP);
SAME_VALUE(IO_CMD_PREADV);
SAME_VALUE(IO_CMD_PWRITEV);

// And where the kernel has it.
static_assert(offsetof(kaio::libaio::iocb, aio_rw_flags) == offsetof(kaio::iocb, aio_rw_flags));
static_assert(offsetof(kaio::libaio::iocb, u.c.resfd) == offsetof(kaio::iocb, aio_resfd));
