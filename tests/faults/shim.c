/* Makes the disk and the clock of one program fail, as a test says. Built by the test, preloaded into the program, and steered by files that the test writes.

   FAULTS names a file of 16 bytes that is shared: the first eight are seconds added to the wall clock, the ninth says whether a sync of the database fails with EIO, the tenth after
   how many seconds a look-up of a name fails; 0 lets it be.
   FAULTS_UNDO names a file into which the bytes go that a write to the database overwrites, until that file is synced: what a power cut may take back.

   No file but `infinity.db` and `infinity.db-wal` is touched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* What an undo record begins with; `old` bytes follow. */
struct head {
    uint32_t file;   /* 0 the database, 1 its log; 2 more when it was synced */
    uint32_t old;    /* bytes that were there */
    uint64_t offset; /* where the write began */
    uint64_t size;   /* how long the file was */
};

static volatile int64_t *control;
static int undo = -1;
static int unsynced[2];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_gettimeofday)(struct timeval *, void *);
static time_t (*real_time)(time_t *);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    real_time = dlsym(RTLD_NEXT, "time");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
    const char *name = getenv("FAULTS");
    if (name) {
        int file = open(name, O_RDWR | O_CLOEXEC);
        void *shared = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (shared != MAP_FAILED) control = shared;
        if (file >= 0) close(file);
    }
    name = getenv("FAULTS_UNDO");
    if (name) undo = open(name, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

static int64_t ahead(void) { return control ? control[0] : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock_gettime) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real_clock_gettime(clock, now);
    if (answer == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
    return answer;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    if (!real_gettimeofday) real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    int answer = real_gettimeofday(now, zone);
    if (answer == 0) now->tv_sec += ahead();
    return answer;
}

time_t time(time_t *where) {
    if (!real_time) real_time = dlsym(RTLD_NEXT, "time");
    time_t now = real_time(NULL) + ahead();
    if (where) *where = now;
    return now;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    unsigned char wait = control ? ((volatile unsigned char *)control)[9] : 0;
    if (wait) {
        sleep(wait);
        return EAI_AGAIN;
    }
    if (!real_getaddrinfo) real_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
    return real_getaddrinfo(name, service, hints, found);
}

/* 0 the database, 1 its log, -1 anything else. */
static int which(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return -1;
    char link[40] = "/proc/self/fd/", path[4096], digits[16];
    int length = 0, value = fd;
    do digits[length++] = (char)('0' + value % 10); while (value /= 10);
    char *end = link + strlen(link);
    while (length) *end++ = digits[--length];
    *end = 0;
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return -1;
    path[size] = 0;
    const char *name = strrchr(path, '/');
    if (!name) return -1;
    if (strcmp(name, "/infinity.db") == 0) return 0;
    return strcmp(name, "/infinity.db-wal") == 0 ? 1 : -1;
}

/* Notes what is about to be overwritten. Called with the turn held. */
static void note(int file, int fd, uint64_t offset, uint64_t length) {
    struct stat status;
    if (fstat(fd, &status) != 0) return;
    uint64_t size = (uint64_t)status.st_size, old = 0;
    if (offset < size) old = size - offset < length ? size - offset : length;
    struct head *record = malloc(sizeof *record + old);
    if (!record) abort();
    ssize_t got = old ? pread(fd, record + 1, old, (off_t)offset) : 0;
    *record = (struct head){(uint32_t)file, got > 0 ? (uint32_t)got : 0, offset, size};
    if (real_write(undo, record, sizeof *record + record->old) < 0) abort();
    free(record);
    unsynced[file] = 1;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    if (!real_write) real_write = dlsym(RTLD_NEXT, "write");
    int file = undo >= 0 && fd != undo ? which(fd) : -1;
    if (file < 0) return real_write(fd, bytes, length);
    pthread_mutex_lock(&turn);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    note(file, fd, (uint64_t)offset, length);
    ssize_t answer = real_write(fd, bytes, length);
    pthread_mutex_unlock(&turn);
    return answer;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    if (!real_pwrite) real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    int file = undo >= 0 ? which(fd) : -1;
    if (file < 0) return real_pwrite(fd, bytes, length, offset);
    pthread_mutex_lock(&turn);
    note(file, fd, (uint64_t)offset, length);
    ssize_t answer = real_pwrite(fd, bytes, length, offset);
    pthread_mutex_unlock(&turn);
    return answer;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

int ftruncate64(int fd, off_t length) {
    if (!real_ftruncate) real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    int file = undo >= 0 ? which(fd) : -1;
    if (file < 0) return real_ftruncate(fd, length);
    pthread_mutex_lock(&turn);
    note(file, fd, (uint64_t)length, UINT32_MAX);
    int answer = real_ftruncate(fd, length);
    pthread_mutex_unlock(&turn);
    return answer;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int sync_with(int (*real)(int), int fd) {
    int file = control || undo >= 0 ? which(fd) : -1;
    if (file < 0) return real(fd);
    if (control && ((volatile char *)control)[8]) {
        errno = EIO;
        return -1;
    }
    if (undo < 0) return real(fd);
    pthread_mutex_lock(&turn);
    int answer = real(fd);
    if (answer == 0) {
        unsynced[file] = 0;
        if (!unsynced[0] && !unsynced[1]) {
            if (real_ftruncate(undo, 0) != 0) abort();
        } else {
            struct head synced = {(uint32_t)file + 2, 0, 0, 0};
            if (real_write(undo, &synced, sizeof synced) < 0) abort();
        }
    }
    pthread_mutex_unlock(&turn);
    return answer;
}

int fsync(int fd) {
    if (!real_fsync) real_fsync = dlsym(RTLD_NEXT, "fsync");
    return sync_with(real_fsync, fd);
}

int fdatasync(int fd) {
    if (!real_fdatasync) real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    return sync_with(real_fdatasync, fd);
}
