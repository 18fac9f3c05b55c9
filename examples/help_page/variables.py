import resource

print('Memory usage before x created: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
x=[0]*100000
print('Memory usage after  x created: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
del x
print('Memory usage after  x deleted: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
y=[0]*100000
print('Memory usage after  y created: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
z=[0]*100000
print('Memory usage after  z created: %s (kb)' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
