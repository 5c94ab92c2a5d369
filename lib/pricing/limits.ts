/** Maximum number of automatic promotions of a shop that have not ended. */
export const MAX_AUTOMATIC = 100;
/** Maximum number of coupon codes of a cart. */
export const MAX_COUPONS = 10;
/** Maximum number of promotions that discount an order: all of them can be combinable. */
export const MAX_ADJUSTMENTS = MAX_AUTOMATIC + MAX_COUPONS;
