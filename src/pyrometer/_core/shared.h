/* What Python cannot say of memory that processes share: a lock whose holder may die, and pages that may vanish. */
#ifndef PYROMETER_SHARED_H
#define PYROMETER_SHARED_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include <cstddef>

/* A lock in shared memory. 0: taken; 1: taken from a holder that died; -1: not within so many milliseconds. It is asked
 * for again and again: who waits in the kernel cannot say for how long on every system, and it is rarely held. */
static inline int pyro_lock(size_t at, long milliseconds) {
#ifdef __linux__
    struct timespec begun, now, pause = {0, 50000};
    for (int i = 0;; i++) {
        int result = pthread_mutex_trylock((pthread_mutex_t *)at);
        if (result == 0) return 0;
        if (result == EOWNERDEAD) return pthread_mutex_consistent((pthread_mutex_t *)at), 1;
        if (milliseconds <= 0 || result != EBUSY) return -1;
        if (i == 0) clock_gettime(CLOCK_MONOTONIC, &begun);
        if (i < 20) {
            sched_yield();
            continue;
        }
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 >= milliseconds) return -1;
    }
#else
    return pthread_mutex_lock((pthread_mutex_t *)at) ? -1 : 0;
#endif
}
static inline void pyro_unlock(size_t at) { pthread_mutex_unlock((pthread_mutex_t *)at); }
static inline void pyro_make_lock(size_t at) {
    pthread_mutexattr_t wanted;
    pthread_mutexattr_init(&wanted);
#ifdef __linux__
    pthread_mutexattr_setpshared(&wanted, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&wanted, PTHREAD_MUTEX_ROBUST);
#endif
    pthread_mutex_init((pthread_mutex_t *)at, &wanted);
    pthread_mutexattr_destroy(&wanted);
}

/* A page of a mapped file that is gone (somebody cut the file) is put in its place again, empty and this process's own.
 * `arenas` has (address, size), ending with an address 0. What lies elsewhere is not ours to handle. */
static size_t pyro_arenas[2 * 64 + 2], pyro_lost;
static struct sigaction pyro_bus_before;
static inline void pyro_bus(int signal, siginfo_t *info, void *context) {
    size_t at = (size_t)info->si_addr;
    for (size_t *arena = pyro_arenas; info->si_code > 0 && arena[0]; arena += 2)
        if (at - arena[0] < arena[1]) {
            mmap((void *)(at & ~(size_t)4095), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            pyro_lost++;
            return;
        }
    if (pyro_bus_before.sa_flags & SA_SIGINFO) return pyro_bus_before.sa_sigaction(signal, info, context);
    if (pyro_bus_before.sa_handler != SIG_DFL && pyro_bus_before.sa_handler != SIG_IGN) return pyro_bus_before.sa_handler(signal);
    sigaction(signal, &pyro_bus_before, NULL); /* and the fault comes again */
}
static inline void pyro_guard(size_t at, size_t size) {
    struct sigaction wanted = {};
    size_t *arena = pyro_arenas;
    while (arena[0] && arena < pyro_arenas + 2 * 63) arena += 2;
    arena[1] = size;
    arena[0] = at;
    wanted.sa_sigaction = pyro_bus;
    wanted.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    if (arena == pyro_arenas) sigaction(SIGBUS, &wanted, &pyro_bus_before);
}
static inline size_t pyro_lost_pages(void) { return pyro_lost; }

#endif
