// Boost.JSON as headers only: a function then links no library of Boost.
#include <boost/json/src.hpp>
