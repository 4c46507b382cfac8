// That contexts and loops have these texts in their errors is in io/context, and the limits of memory in io/memory_error.
#include <kaio/io/setup_error.hpp>

#include <cerrno>
#include <fstream>
#include <string>

#include "support/catch.hpp"

using kaio::setup_error_text;

TEST_CASE("the text has the call, what was asked, the cause and the remedy") {
    struct expected {
        int error;
        const char *cause, *remedy;
    };
    auto const [error, cause, remedy] =
        GENERATE(expected{EAGAIN, "fs.aio-max-nr allows for the whole system", "sysctl -w fs.aio-max-nr=1048576"},
                 expected{EINVAL, "more than the kernel can ever give", "ask for less"},
                 expected{ENOMEM, "no memory for the completion ring", ""},
                 expected{ENOSYS, "this kernel has no native AIO", "use io_uring, POSIX AIO or threads with pread"},
                 expected{EPERM, "a security policy", "allow io_setup"},
                 expected{EACCES, "a security policy", "allow io_setup"});
    std::string const text = setup_error_text(error, 5'000'000);
    CHECK_THAT(text, test::StartsWith("kaio: io_setup(5000000): "));
    CHECK_THAT(text, test::ContainsSubstring(cause) && test::ContainsSubstring(remedy));
}

TEST_CASE("a capacity of 0 is the cause, whatever the error") {
    CHECK(setup_error_text(EINVAL, 0) == "kaio: io_setup(0): a capacity of 0 can hold no request; ask for 1 or more");
    CHECK(setup_error_text(EAGAIN, 0) == setup_error_text(EINVAL, 0));
}

TEST_CASE("the quota's text has the figures of /proc, or says that they are unknown") {
    std::string most = "unknown";
    std::ifstream("/proc/sys/fs/aio-max-nr") >> most;
    CHECK_THAT(setup_error_text(EAGAIN, 128), test::ContainsSubstring("fs.aio-max-nr = " + most + ",") &&
                                                  test::ContainsSubstring("fs.aio-nr (in use) = "));
}

TEST_CASE("an error that io_setup never gives is called unexpected") {
    CHECK(setup_error_text(EFAULT, 128) == "kaio: io_setup(128): unexpected");
}
