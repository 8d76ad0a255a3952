/** Allocation flags, with the kernel's names and meaning (include/linux/gfp_types.h). */
export const GFP_DIRECT_RECLAIM = 1; // the caller may reclaim for itself
export const GFP_KSWAPD_RECLAIM = 2; // wake kswapd below the low watermark
export const GFP_NORETRY = 4; // one round of direct reclaim, then give up
export const GFP_NOWARN = 8; // failure is expected; do not count it as a failed allocation
export const GFP_MEMALLOC = 16; // reclaim itself: may use the reserve below the min watermark
export const GFP_NODRAIN = 32; // leave the frames in other threads' caches, even when no block is found without them

/** A page fault or a page-table page. */
export const GFP_USER = GFP_DIRECT_RECLAIM | GFP_KSWAPD_RECLAIM;
/** Try, wake kswapd, fail quietly. */
export const GFP_NOWAIT = GFP_KSWAPD_RECLAIM | GFP_NOWARN;
/** Swap-out: storing a compressed page frees one, so it may dip into the reserve. */
export const GFP_RECLAIM = GFP_MEMALLOC | GFP_NOWARN;

/** Orders above this are costly: nobody waits for them to be compacted (kernel: PAGE_ALLOC_COSTLY_ORDER). */
export const COSTLY_ORDER = 3;
