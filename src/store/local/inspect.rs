//! Looks at a store from outside: verify, stats and dump of `hongyan store`.
