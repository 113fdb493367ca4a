/* Writes when each file below the working folder was last changed (its ctime), as records on standard output.
 *
 * A record is seconds (8 bytes), nanoseconds (4), length of the path (4), little endian, and the path without an end
 * mark. The first one, with an empty path, holds what the clock shows that stamps files; the last one, with an empty
 * path too, says that it was not cut off; what it may not open is missing. Exit code 1 where it cannot be written.
 *
 * It runs in the holder's container, on any image, so it uses no library, only the kernel. `programs.py` holds it
 * compiled and says how; `tests/harness/clock/container/test_programs.py` compiles it anew and compares.
 */

#include <linux/stat.h>

enum { MOST_DEPTH = 5, NAMES_BYTES = 16384, PATH_BYTES = 4096, BUFFER_BYTES = 65536 };
enum { FROM_HERE = -100, FOLDER = 0200000, NO_FOLLOW_X86 = 0400000, NO_FOLLOW_ARM = 0100000, FOLDER_ARM = 040000 };

#if defined(__x86_64__)
enum { WRITE = 1, CLOSE = 3, GETDENTS = 217, CLOCK_GETTIME = 228, EXIT = 231, OPENAT = 257, STATX = 332 };
enum { OPEN_FOLDER = FOLDER | NO_FOLLOW_X86 };
static inline long call(long number, long a, long b, long c, long d, long e) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
enum { OPENAT = 56, CLOSE = 57, GETDENTS = 61, WRITE = 64, EXIT = 94, CLOCK_GETTIME = 113, STATX = 291 };
enum { OPEN_FOLDER = FOLDER_ARM | NO_FOLLOW_ARM };
static inline long call(long number, long a, long b, long c, long d, long e) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
#endif

struct name {
    unsigned long long inode;
    long long next;
    unsigned short bytes;
    unsigned char kind;
    char text[];
};

struct state {
    unsigned used;
    char path[PATH_BYTES];
    char buffer[BUFFER_BYTES];
};

static void leave(int code) {
    for (;;)
        call(EXIT, code, 0, 0, 0, 0);
}

static void flush(struct state *state) {
    for (unsigned done = 0; done < state->used;) {
        long written = call(WRITE, 1, (long)(state->buffer + done), state->used - done, 0, 0);
        if (written <= 0)
            leave(1);
        done += written;
    }
    state->used = 0;
}

static void put(struct state *state, const void *bytes, unsigned count) {
    if (state->used + count > BUFFER_BYTES)
        flush(state);
    for (unsigned each = 0; each < count; each++)
        state->buffer[state->used++] = ((const char *)bytes)[each];
}

static void record(struct state *state, long long seconds, unsigned nanoseconds, unsigned length) {
    put(state, &seconds, 8);
    put(state, &nanoseconds, 4);
    put(state, &length, 4);
    put(state, state->path, length);
}

static void list(struct state *state, long folder, unsigned length, int depth) {
    char names[NAMES_BYTES];
    for (long count; (count = call(GETDENTS, folder, (long)names, NAMES_BYTES, 0, 0)) > 0;)
        for (long at = 0; at < count;) {
            const struct name *name = (const struct name *)(names + at);
            at += name->bytes;
            if (name->text[0] == '.' && (!name->text[1] || (name->text[1] == '.' && !name->text[2])))
                continue;
            unsigned end = length;
            for (const char *letter = name->text; *letter; letter++)
                state->path[end++] = *letter;
            struct statx seen;
            if (call(STATX, folder, (long)name->text, 0x100 /* of a link itself */, STATX_BASIC_STATS, (long)&seen) < 0)
                continue;
            if ((seen.stx_mode & 0170000) == 0100000)
                record(state, seen.stx_ctime.tv_sec, seen.stx_ctime.tv_nsec, end);
            else if ((seen.stx_mode & 0170000) == 0040000 && depth < MOST_DEPTH) {
                long inner = call(OPENAT, folder, (long)name->text, OPEN_FOLDER, 0, 0);
                if (inner < 0)
                    continue;
                state->path[end++] = '/';
                list(state, inner, end, depth + 1);
                call(CLOSE, inner, 0, 0, 0, 0);
            }
        }
}

__attribute__((section(".text.startup"), noreturn)) void _start(void) {
    struct state state;
    long long now[2];
    state.used = 0;
    call(CLOCK_GETTIME, 0, (long)now, 0, 0, 0);
    record(&state, now[0], now[1], 0);
    long folder = call(OPENAT, FROM_HERE, (long)&(char[]){'.', 0}, OPEN_FOLDER, 0, 0);
    if (folder < 0)
        leave(1);
    list(&state, folder, 0, 1);
    record(&state, 0, 0, 0);
    flush(&state);
    leave(0);
    __builtin_unreachable();
}
