#include <kaio/io/context.hpp>
