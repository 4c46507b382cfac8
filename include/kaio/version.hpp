// The version of these headers; meson.build says the same, and a test holds the two equal.
#pragma once

// MAJOR.MINOR.PATCH. Until 1.0.0 a minor version may break sources.
#define KAIO_VERSION_MAJOR 0
#define KAIO_VERSION_MINOR 2
#define KAIO_VERSION_PATCH 0
