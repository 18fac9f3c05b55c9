import resource

def eatmemory():
  x=[0]*100000
  print('Memory usage after  x created in eatmemory: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

print('Memory usage initially: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
for i in range(3):
  eatmemory()
print('Memory usage finally: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
