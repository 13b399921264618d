// How fast this machine multiplies matrices, by the clock. No weight depends on it: a run keeps the precision it began
// with, and nothing else asks.
#pragma once
#include <cstdint>

#include "data_type.h"

namespace residual {

/// FLOP/s of oneDNN's product of two `side` x `side` matrices, the weights in the layout that it likes best, with as many
/// threads as OpenMP is set to: the best of ten.
double matmulRate(DataType type, int64_t side);

/// Whether the CPU computes in bfloat16 faster than in float32. Having the instruction is not enough: without AMX,
/// oneDNN's products on an Emerald Rapids take half as long again in bfloat16. Measured once, in about 6 ms.
bool bfloat16IsFaster();

}  // namespace residual
