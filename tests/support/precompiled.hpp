// What is compiled once for all tests. Nothing else belongs here: a test includes itself what it uses.
#include "catch.hpp"
