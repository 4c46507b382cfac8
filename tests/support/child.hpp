// Runs a function in a forked child.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace test {

// What `body` returned there (0 to 255), or 1000 + the signal that ended it.
template <class Body> int in_child(Body body) {
    pid_t const child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

} // namespace test
