/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module ABI of dra-driver-sriov, part 1: primitive types, status codes, growth.
 *
 * Rules that hold in every header of this folder:
 *  - C11, LP64, little-endian. Only <stddef.h>, <stdint.h> and each other are included.
 *  - A struct that either side may extend begins with `uint32_t struct_size`, set to sizeof by
 *    whoever fills it. Members are appended, never moved, removed or reused; such a struct is never
 *    a by-value member of another one, and arrays of it carry a stride. DRASRIOV_HAS() is the only
 *    test for a member newer than the reader's minimum. No struct ends in padding: an appended
 *    member could hide there, in what older fillers count as theirs.
 *  - Inputs are borrowed until the call returns. Outputs go through a sink of the host, which
 *    copies at once. Nobody frees the other side's memory; a handle is destroyed by its creator;
 *    tables live as long as the process.
 *  - A failing function returns its code after host->set_error(); the host drops all that the
 *    call's sinks received.
 *  - No exception and no longjmp leaves either side.
 *  - The tag in brackets says on which thread a function is called:
 *      [any]      any thread, concurrent with everything
 *      [control]  one thread, never concurrent with itself or with another [control] function of
 *                 that instance
 *      [worker]   concurrent, but never two at once for one claim or for one device
 *      [note]     any thread, the caller may hold locks: return within microseconds, take no lock,
 *                 call nobody back
 */
#ifndef DRASRIOV_ABI_BASE_H
#define DRASRIOV_ABI_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define DRASRIOV_EXTERN_C_BEGIN extern "C" {
#define DRASRIOV_EXTERN_C_END }
#else
#define DRASRIOV_EXTERN_C_BEGIN
#define DRASRIOV_EXTERN_C_END
#endif

/* The ABI that these headers describe. Same major = compatible; minor counts appended members and
 * functions. */
#define DRASRIOV_ABI_MAJOR 1
#define DRASRIOV_ABI_MINOR 0

/* A vendor that supports older hosts defines this before the first include: newer members are then
 * hidden, so that struct_size and the compiler both know no more than such a host does. Pattern of
 * a member that ABI 1.3 appends:
 *
 *   #if DRASRIOV_TARGET_ABI_MINOR >= 3
 *     drasriov_string member;
 *   #endif
 */
#ifndef DRASRIOV_TARGET_ABI_MINOR
#define DRASRIOV_TARGET_ABI_MINOR DRASRIOV_ABI_MINOR
#endif
#if DRASRIOV_TARGET_ABI_MINOR > DRASRIOV_ABI_MINOR
#error "DRASRIOV_TARGET_ABI_MINOR is newer than these headers: lower it, or update DraSriovSDK"
#endif
#if !defined(__LP64__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the module ABI of dra-driver-sriov is defined for LP64 little-endian machines only"
#endif

/* On the one exported function; everything else of a module is hidden. */
#define DRASRIOV_EXPORT __attribute__((visibility("default")))

DRASRIOV_EXTERN_C_BEGIN

/* UTF-8, not terminated. data may be NULL when size is 0. Never grows. */
typedef struct drasriov_string {
  const char* data;
  size_t size;
} drasriov_string;

/* Opaque bytes. data may be NULL when size is 0. Never grows. */
typedef struct drasriov_bytes {
  const uint8_t* data;
  size_t size;
} drasriov_bytes;

/* The gRPC canonical status codes. */
typedef int32_t drasriov_status;
#define DRASRIOV_OK 0
#define DRASRIOV_CANCELLED 1
#define DRASRIOV_UNKNOWN 2
#define DRASRIOV_INVALID_ARGUMENT 3
#define DRASRIOV_DEADLINE_EXCEEDED 4 /* retryable */
#define DRASRIOV_NOT_FOUND 5
#define DRASRIOV_ALREADY_EXISTS 6
#define DRASRIOV_PERMISSION_DENIED 7
#define DRASRIOV_RESOURCE_EXHAUSTED 8 /* retryable */
#define DRASRIOV_FAILED_PRECONDITION 9
#define DRASRIOV_ABORTED 10 /* retryable */
#define DRASRIOV_OUT_OF_RANGE 11
#define DRASRIOV_UNIMPLEMENTED 12
#define DRASRIOV_INTERNAL 13
#define DRASRIOV_UNAVAILABLE 14 /* retryable */
#define DRASRIOV_DATA_LOSS 15
#define DRASRIOV_UNAUTHENTICATED 16

/* Opaque handles: the host as one instance of a module sees it; that instance, defined by the
 * module; one running call (deadline, cancellation, correlation id); where a failing function
 * leaves its message. */
typedef struct drasriov_host drasriov_host;
typedef struct drasriov_module drasriov_module;
typedef struct drasriov_call drasriov_call;
typedef struct drasriov_error drasriov_error;

/* A key and a value, both text. Never grows. */
typedef struct drasriov_pair {
  drasriov_string key;
  drasriov_string value;
} drasriov_pair;

/* Whether the struct that p points to, as its filler built it, reaches to the end of `member`. */
#define DRASRIOV_COVERS(p, member)                                                 \
  ((size_t)((const char*)&(p)->member - (const char*)(p)) + sizeof((p)->member) <= \
   (size_t)(p)->struct_size)

/* Whether pointer member `member` of *p is there and not NULL: the test before every use of an
 * optional member. */
#define DRASRIOV_HAS(p, member) ((p) != NULL && DRASRIOV_COVERS(p, member) && (p)->member != NULL)

/* Element i of an array of growable structs: (const T*)DRASRIOV_AT(base, stride, i). */
#define DRASRIOV_AT(base, stride, i) \
  ((const void*)((const char*)(base) + (size_t)(stride) * (size_t)(i)))

DRASRIOV_EXTERN_C_END

#endif /* DRASRIOV_ABI_BASE_H */
