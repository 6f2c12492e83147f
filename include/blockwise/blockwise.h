/** Blockwise self-supervised pretraining of residual networks on CPUs: all of the public interface. */
#ifndef BLOCKWISE_H
#define BLOCKWISE_H
#include "blockwise/allocator.h"
#include "blockwise/comm.h"
#include "blockwise/config.h"
#include "blockwise/dataset.h"
#include "blockwise/evaluate.h"
#include "blockwise/network.h"
#include "blockwise/plan.h"
#include "blockwise/rule.h"
#include "blockwise/status.h"
#include "blockwise/trainer.h"
#include "blockwise/version.h"
#endif
