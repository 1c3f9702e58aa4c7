// RFC 3339, and the Gregorian calendar behind it.

#include "windlass/time.h"

#include <stddef.h>

#include "windlass/memory.h"

// Days from 1970-01-01 to the first of a month, counted over years that begin in March, so
// that the day that a leap year adds is the last. Begins 400 years, or 146097 days, early,
// so that nothing is negative.
static int64_t days_before(int64_t year, int month) {
  int64_t from = 400 + (month <= 2 ? year - 1 : year);
  int since_march = (month + 9) % 12;
  int64_t leap_days = from / 4 - from / 100 + from / 400;
  return 365 * from + leap_days + (153 * since_march + 2) / 5 - 719468 - 146097;
}

static bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int days_in(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

// So many digits, and the byte that has to follow; 0 for any.
static bool take(const char **at, int count, char after, int *number) {
  *number = 0;
  for (; count > 0; count--) {
    if (!is_digit(**at)) return false;
    *number = *number * 10 + (*(*at)++ - '0');
  }
  if (after == 0) return true;
  return *(*at)++ == after;
}

// Digits after the point, of which nine count.
static bool take_fraction(const char **at, uint32_t *nanoseconds) {
  *nanoseconds = 0;
  if (**at != '.') return true;
  (*at)++;
  if (!is_digit(**at)) return false;
  for (uint32_t unit = 100000000; is_digit(**at); (*at)++, unit /= 10) {
    *nanoseconds += unit * (uint32_t)(**at - '0');
  }
  return true;
}

static bool take_offset(const char **at, int *seconds) {
  char sign = *(*at)++;
  *seconds = 0;
  if (sign == 'Z' || sign == 'z') return true;
  if (sign != '+' && sign != '-') return false;
  int hours, minutes;
  if (!take(at, 2, ':', &hours) || !take(at, 2, 0, &minutes) || hours > 23 || minutes > 59) return false;
  *seconds = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
  return true;
}

bool wl_time_parse(const char *text, wl_time *time) {
  if (text == NULL) return false;
  int year, month, day, hour, minute, second, offset;
  if (!take(&text, 4, '-', &year) || !take(&text, 2, '-', &month) || !take(&text, 2, 0, &day)) return false;
  if (*text != 'T' && *text != 't') return false;
  text++;
  if (!take(&text, 2, ':', &hour) || !take(&text, 2, ':', &minute) || !take(&text, 2, 0, &second)) return false;
  uint32_t nanoseconds;
  if (!take_fraction(&text, &nanoseconds) || !take_offset(&text, &offset) || *text != 0) return false;
  if (month < 1 || month > 12 || day < 1 || day > days_in(year, month)) return false;
  if (hour > 23 || minute > 59 || second > 59) return false;
  int64_t days = days_before(year, month) + day - 1;
  *time = (wl_time){.seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset, .nanoseconds = nanoseconds};
  return true;
}

const char *wl_time_print(wl_time time) {
  int64_t days = time.seconds / 86400;
  int of_day = (int)(time.seconds % 86400);
  if (of_day < 0) {
    of_day += 86400;
    days--;
  }
  // A year is at least as long as this makes it, so the guess is never too late.
  int year = 1970 + (int)(days / 366);
  if (days < 0) year = 1970 + (int)(days / 365) - 1;
  while (days_before(year + 1, 1) <= days) year++;
  int month = 1;
  while (month < 12 && days_before(year, month + 1) <= days) month++;
  int day = (int)(days - days_before(year, month)) + 1;
  return wl_print("%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60);
}

uint64_t wl_time_until(wl_time time, wl_time now) {
  int64_t seconds = time.seconds - now.seconds;
  int64_t nanoseconds = (int64_t)time.nanoseconds - now.nanoseconds;
  // Division rounds towards zero, which is up for what is negative.
  int64_t ms = seconds * 1000 + (nanoseconds > 0 ? nanoseconds + 999999 : nanoseconds) / 1000000;
  return ms > 0 ? (uint64_t)ms : 0;
}
