#include "support/catch.hpp"

#include <csignal>
#include <cstddef>
#include <ctime>

#include <linux/aio_abi.h>
#include <linux/fs.h>

#include <kaio/sys/abi.hpp>

#define SAME_FIELD(ours, theirs, field)                                                                                \
    CHECK(offsetof(kaio::ours, field) == offsetof(theirs, field));                                                     \
    CHECK(sizeof(kaio::ours::field) == sizeof(theirs::field))

TEST_CASE("iocb has the kernel's layout, field by field") {
    using theirs = struct ::iocb;
    CHECK(sizeof(kaio::iocb) == sizeof(theirs));
    SAME_FIELD(iocb, theirs, aio_data);
    SAME_FIELD(iocb, theirs, aio_key);
    SAME_FIELD(iocb, theirs, aio_rw_flags);
    SAME_FIELD(iocb, theirs, aio_lio_opcode);
    SAME_FIELD(iocb, theirs, aio_reqprio);
    SAME_FIELD(iocb, theirs, aio_fildes);
    SAME_FIELD(iocb, theirs, aio_buf);
    SAME_FIELD(iocb, theirs, aio_nbytes);
    SAME_FIELD(iocb, theirs, aio_offset);
    SAME_FIELD(iocb, theirs, aio_reserved2);
    SAME_FIELD(iocb, theirs, aio_flags);
    SAME_FIELD(iocb, theirs, aio_resfd);
}

TEST_CASE("io_event has the kernel's layout, field by field") {
    using theirs = struct ::io_event;
    CHECK(sizeof(kaio::io_event) == sizeof(theirs));
    SAME_FIELD(io_event, theirs, data);
    SAME_FIELD(io_event, theirs, obj);
    SAME_FIELD(io_event, theirs, res);
    SAME_FIELD(io_event, theirs, res2);
    CHECK(std::is_signed_v<decltype(kaio::io_event::res)>);
}

TEST_CASE("opcodes and flags have the kernel's values") {
    CHECK(static_cast<int>(kaio::opcode::pread) == IOCB_CMD_PREAD);
    CHECK(static_cast<int>(kaio::opcode::pwrite) == IOCB_CMD_PWRITE);
    CHECK(static_cast<int>(kaio::opcode::fsync) == IOCB_CMD_FSYNC);
    CHECK(static_cast<int>(kaio::opcode::fdsync) == IOCB_CMD_FDSYNC);
    CHECK(static_cast<int>(kaio::opcode::poll) == IOCB_CMD_POLL);
    CHECK(static_cast<int>(kaio::opcode::preadv) == IOCB_CMD_PREADV);
    CHECK(static_cast<int>(kaio::opcode::pwritev) == IOCB_CMD_PWRITEV);
    CHECK(kaio::iocb_flag_resfd == IOCB_FLAG_RESFD);
    CHECK(kaio::iocb_flag_ioprio == IOCB_FLAG_IOPRIO);
    CHECK(static_cast<int>(kaio::rw_flags::dsync) == RWF_DSYNC);
    CHECK(static_cast<int>(kaio::rw_flags::sync) == RWF_SYNC);
    CHECK(static_cast<int>(kaio::rw_flags::nowait) == RWF_NOWAIT);
    CHECK(static_cast<int>(kaio::rw_flags::append) == RWF_APPEND);
#ifdef RWF_NOAPPEND
    CHECK(static_cast<int>(kaio::rw_flags::noappend) == RWF_NOAPPEND);
#endif
#ifdef RWF_ATOMIC
    CHECK(static_cast<int>(kaio::rw_flags::atomic) == RWF_ATOMIC);
#endif
#ifdef RWF_DONTCACHE
    CHECK(static_cast<int>(kaio::rw_flags::dontcache) == RWF_DONTCACHE);
#endif
    CHECK((kaio::rw_flags::dsync | kaio::rw_flags::nowait) == static_cast<kaio::rw_flags>(RWF_DSYNC | RWF_NOWAIT));
}

TEST_CASE("the context's id is as wide as the kernel's") {
    CHECK(sizeof(kaio::aio_context_id) == sizeof(aio_context_t));
    CHECK(sizeof(kaio::aio_sigset) == 2 * sizeof(void*));
}
